// fast-jwt with its cache: entries are kept 10 min or until exp.
import { bare, guardedBy } from './http_app.mjs'
import { decoderWith } from './fast_jwt.mjs'
import { CACHED } from './material.mjs'

export { bare }

export const decoder = material => decoderWith(material, { cache: CACHED })
export const guarded = material => guardedBy(decoder(material))
