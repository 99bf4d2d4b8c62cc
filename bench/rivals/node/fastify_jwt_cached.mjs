// @fastify/jwt with `verify.cache`, the cache of fast-jwt.
import { bare, decoderWith, guardedWith, renewingWith } from './fastify_jwt.mjs'

export { bare }

export const decoder = material => decoderWith(material, { cache: true })
export const guarded = material => guardedWith(material, { cache: true })
export const renewing = material => renewingWith(material, { cache: true })
