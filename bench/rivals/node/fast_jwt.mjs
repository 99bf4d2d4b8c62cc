// fast-jwt on node:http, without a cache, as its README, "createVerifier", sets it up.
import { createVerifier } from 'fast-jwt'
import { bare, guardedBy } from './http_app.mjs'

export { bare }

export const decoderWith = (material, options) =>
  createVerifier({
    key: material.verifiesWith,
    algorithms: material.algorithms,
    allowedIss: material.issuer,
    allowedAud: material.audience,
    requiredClaims: ['exp', 'iss', 'aud', 'sub'],
    ...options
  })

export const decoder = material => decoderWith(material, {})
export const guarded = material => guardedBy(decoder(material))
