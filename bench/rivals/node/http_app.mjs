// Applications on node:http that differ only in what decodes the token.
import { createServer } from 'node:http'
import { TENANT, USER, bearer } from './material.mjs'

function answer(response, status, body) {
  const text = JSON.stringify(body)
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': text.length })
  response.end(text)
}

export const listening = server =>
  new Promise(resolve =>
    server.listen(0, '127.0.0.1', () => resolve(server.address().port)))

export const bare = () =>
  listening(createServer((request, response) => answer(response, 200, { sub: USER })))

function respond(request, response, claims) {
  if (request.url === '/tenant' && claims.tenant !== TENANT) return answer(response, 403, {})
  answer(response, 200, { sub: claims.sub })
}

// `decode` throws on refusal.
export const guardedBy = decode =>
  listening(createServer((request, response) => {
    let claims
    try {
      claims = decode(bearer(request) ?? '')
    } catch {
      return answer(response, 401, {})
    }
    respond(request, response, claims)
  }))

// `decode` rejects on refusal.
export const guardedByAsync = decode =>
  listening(createServer(async (request, response) => {
    let claims
    try {
      claims = await decode(bearer(request) ?? '')
    } catch {
      return answer(response, 401, {})
    }
    respond(request, response, claims)
  }))
