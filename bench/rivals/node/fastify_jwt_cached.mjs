// @fastify/jwt with `verify.cache`, the cache of fast-jwt.
import { bare, decoderWith, guardedWith, renewingWith } from './fastify_jwt.mjs'
import { CACHED } from './material.mjs'

export { bare }

export const decoder = material => decoderWith(material, { cache: CACHED })
export const guarded = material => guardedWith(material, { cache: CACHED })
export const renewing = material => renewingWith(material, { cache: CACHED })
