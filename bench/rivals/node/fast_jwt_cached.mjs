// fast-jwt with its cache: `cache: true` is 1,000 entries, kept 10 min or until exp.
import { bare, guardedBy } from './http_app.mjs'
import { decoderWith } from './fast_jwt.mjs'

export { bare }

export const decoder = material => decoderWith(material, { cache: true })
export const guarded = material => guardedBy(decoder(material))
