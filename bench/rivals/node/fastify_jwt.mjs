// @fastify/jwt, as its README sets it up: jwtVerify in an onRequest hook.
import cookie from '@fastify/cookie'
import jwt from '@fastify/jwt'
import fastify from 'fastify'
import { TENANT, USER } from './material.mjs'

const listening = async app => {
  await app.listen({ port: 0, host: '127.0.0.1' })
  return app.server.address().port
}

const options = (material, verify) => ({
  secret: material.secret || { private: material.private_pem, public: material.public_pem },
  sign: { algorithm: material.alg, iss: material.issuer, aud: material.audience },
  verify: {
    algorithms: material.algorithms,
    allowedIss: material.issuer,
    allowedAud: material.audience,
    requiredClaims: ['exp', 'iss', 'aud', 'sub'],
    ...verify
  }
})

export const bare = () =>
  listening(fastify().get('/me', async () => ({ sub: USER })))

export async function guardedWith(material, verify) {
  const app = fastify()
  await app.register(jwt, options(material, verify))
  app.addHook('onRequest', request => request.jwtVerify())
  app.get('/me', async request => ({ sub: request.user.sub }))
  app.get('/tenant', async (request, reply) =>
    request.user.tenant === TENANT ? { sub: request.user.sub } : reply.code(403).send({}))
  return listening(app)
}

export async function decoderWith(material, verify) {
  const app = fastify()
  await app.register(jwt, options(material, verify))
  await app.ready()
  return token => app.jwt.verify(token)
}

export const decoder = material => decoderWith(material, {})
export const guarded = material => guardedWith(material, {})

// A sign-in that gives an access token and a refresh token, a refresh route as the README's
// "onlyCookie" suggests, and a denylist as its "trusted" shows. It has no renewal by itself.
export async function renewingWith(material, verify) {
  const app = fastify()
  const revoked = new Set()
  await app.register(cookie)
  await app.register(jwt, {
    ...options(material, verify),
    cookie: { cookieName: 'refreshToken', signed: false },
    trusted: (request, claims) => !revoked.has(claims.sid)
  })
  const verifies = { onRequest: request => request.jwtVerify() }
  const verifiesCookie = { onRequest: request => request.jwtVerify({ onlyCookie: true }) }
  const claims = (sid, jti) => ({ sub: USER, sid, jti })
  let count = 0
  const access = (reply, sid) =>
    reply.jwtSign(claims(sid, `access-${count++}`), { sign: { expiresIn: '200s' } })
  app.post('/login', async (request, reply) => {
    const refresh = await reply.jwtSign(claims('one', 'refresh'), { sign: { expiresIn: '1d' } })
    reply.setCookie('refreshToken', refresh, { path: '/', httpOnly: true })
    return { access_token: await access(reply, 'one'), refresh_token: refresh }
  })
  app.get('/me', verifies, async request => ({ sub: request.user.sub }))
  app.post('/refresh', verifiesCookie, async (request, reply) => ({
    access_token: await access(reply, request.user.sid)
  }))
  app.post('/revoke', verifies, async request => {
    revoked.add(request.user.sid)
    return {}
  })
  return listening(app)
}

export const renewing = material => renewingWith(material, {})
