// express-jwt, as its README sets it up, with a key object made once.
import { createPublicKey, createSecretKey } from 'node:crypto'
import { createRequire } from 'node:module'
import express from 'express'
import { expressjwt } from 'express-jwt'
import { listening } from './http_app.mjs'
import { createServer } from 'node:http'
import { TENANT, USER } from './material.mjs'

// express-jwt calls jsonwebtoken, which is its dependency and not ours.
const jsonwebtoken = createRequire(createRequire(import.meta.url).resolve('express-jwt'))('jsonwebtoken')

const key = material =>
  material.secret
    ? createSecretKey(Buffer.from(material.secret))
    : createPublicKey(material.public_pem)

const options = material => ({
  algorithms: material.algorithms,
  issuer: material.issuer,
  audience: material.audience
})

const refuse = (error, request, response, next) =>
  error.name === 'UnauthorizedError' ? response.status(401).json({}) : next(error)

export const bare = () => {
  const made = express()
  made.get('/me', (request, response) => response.json({ sub: USER }))
  return listening(createServer(made))
}

export const guarded = material => {
  const guard = expressjwt({ secret: key(material), ...options(material) })
  const made = express()
  made.get('/me', guard, (request, response) => response.json({ sub: request.auth.sub }))
  made.get('/tenant', guard, (request, response) =>
    request.auth.tenant === TENANT
      ? response.json({ sub: request.auth.sub })
      : response.status(403).json({}))
  made.use(refuse)
  return listening(createServer(made))
}

export function decoder(material) {
  const verifies = key(material)
  const checks = options(material)
  return token => jsonwebtoken.verify(token, verifies, checks)
}

// A sign-in whose token `isRevoked` can refuse; there is no renewal.
export function renewing(material) {
  const revoked = new Set()
  const signs = material.signsWith
  const guard = expressjwt({
    secret: key(material),
    ...options(material),
    isRevoked: async (request, token) => revoked.has(token.payload.jti)
  })
  const made = express()
  made.post('/login', (request, response) =>
    response.json({
      access_token: jsonwebtoken.sign({ jti: 'one' }, signs, {
        algorithm: material.alg,
        issuer: material.issuer,
        audience: material.audience,
        subject: USER,
        expiresIn: 200
      })
    }))
  made.get('/me', guard, (request, response) => response.json({ sub: request.auth.sub }))
  made.post('/revoke', guard, (request, response) => {
    revoked.add(request.auth.jti)
    response.json({})
  })
  made.use(refuse)
  return listening(createServer(made))
}
