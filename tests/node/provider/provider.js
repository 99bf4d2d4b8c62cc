// An OpenID provider of a real library, oidc-provider, for tests: every user signs in without a page.
// Usage: node provider.js PACKAGES SETTINGS, where SETTINGS is JSON; see tests/node_provider.py.
// Prints {"url": ISSUER} once it listens, and ends when its standard input is closed.

import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const [folder, given] = process.argv.slice(2)
const library = join(folder, 'node_modules', 'oidc-provider', 'lib')
const { default: Provider, errors } = await import(pathToFileURL(join(library, 'index.js')))
const memory = await import(pathToFileURL(join(library, 'adapters', 'memory_adapter.js')))
const settings = {
  path: '', scopes: ['read', 'write'], resources: {}, clients: [], claims: {}, seconds: 600,
  ...JSON.parse(given),
}
const adapter = memory.createMemoryAdapter() // outlives a rotation, which makes a new provider
const makers = {
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  Ed25519: () => generateKeyPairSync('ed25519'),
}

let made = 0
function keyOf (alg) {
  made += 1
  const { privateKey } = makers[alg]()
  return { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg, kid: `${alg}-${made}` }
}

let keys = Object.keys(makers).map(keyOf)
let provider, handle, issuer

function serverOf (resource) {
  return settings.resources[resource] ?? settings.resources['*']
}

function scopesOf (resource) {
  return (serverOf(resource).scopes ?? settings.scopes).join(' ')
}

function start () {
  provider = new Provider(issuer, {
    adapter,
    jwks: { keys },
    clients: settings.clients,
    scopes: ['openid', 'offline_access', ...settings.scopes],
    claims: { openid: ['sub'], profile: ['name'] },
    cookies: { keys: ['a key of a test'] },
    enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256', 'Ed25519'] },
    clientDefaults: { grant_types: ['authorization_code', 'refresh_token', 'client_credentials'] },
    pkce: { required: () => true },
    // A client may later ask for more scopes than it named when it registered (step-up of MCP).
    extraClientMetadata: {
      properties: ['any_scope'],
      validator: (context, key, value, metadata) => { delete metadata.scope },
    },
    rotateRefreshToken: true,
    issueRefreshToken: (context, client) => client.grantTypeAllowed('refresh_token'),
    extraTokenClaims: () => settings.claims,
    ttl: {
      AccessToken: () => settings.seconds, ClientCredentials: () => settings.seconds,
      AuthorizationCode: 60, Grant: 3600, IdToken: 3600, Interaction: 600,
      RefreshToken: () => 3600, Session: 3600,
    },
    findAccount: (context, sub) => ({
      accountId: sub, claims: () => ({ sub, name: sub, ...settings.claims }),
    }),
    interactions: { url: (context, { uid }) => `${settings.path}/interaction/${uid}` },
    loadExistingGrant: async ({ oidc }) => {
      const grant = new oidc.provider.Grant({
        clientId: oidc.client.clientId, accountId: oidc.session.accountId,
      })
      grant.addOIDCScope([...oidc.requestParamOIDCScopes].join(' ') || 'openid')
      grant.addOIDCScope(settings.scopes.join(' '))
      for (const resource of Object.keys(oidc.resourceServers ?? {})) {
        grant.addResourceScope(resource, scopesOf(resource))
      }
      await grant.save()
      return grant
    },
    features: {
      devInteractions: { enabled: false },
      registration: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true },
      clientCredentials: { enabled: true },
      userinfo: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (context, resource) => {
          const known = serverOf(resource)
          // A resource that is not listed is refused with invalid_target (RFC 8707, section 2).
          if (known === undefined) throw new errors.InvalidTarget()
          return {
            scope: scopesOf(resource),
            audience: known.audience ?? resource,
            accessTokenTTL: settings.seconds,
            accessTokenFormat: known.format ?? 'jwt',
            jwt: { sign: { alg: known.alg ?? 'ES256' } },
          }
        },
      },
    },
  })
  handle = provider.callback()
}

async function signIn (request, response) {
  const { params, prompt, session } = await provider.interactionDetails(request, response)
  const accountId = session?.accountId ?? params.login_hint ?? 'alice'
  const grant = new provider.Grant({ clientId: params.client_id, accountId })
  grant.addOIDCScope(params.scope ?? 'openid')
  for (const resource of [params.resource ?? []].flat()) {
    grant.addResourceScope(resource, scopesOf(resource))
  }
  // A client that asks for offline_access demands consent (OpenID Connect Core, section 11).
  const done = prompt.name === 'consent' ? { grantId: await grant.save() } : { accountId }
  await provider.interactionFinished(request, response, { [prompt.name]: done })
}

// Rotate the keys (the old ones stay until "withdraw"), or change settings of later tokens.
const commands = {
  rotate () { keys = [...Object.keys(makers).map(keyOf), ...keys] },
  withdraw () { keys = keys.slice(0, Object.keys(makers).length) },
  set (values) { Object.assign(settings, values) },
}

async function control (request, response) {
  let body = ''
  for await (const part of request) body += part
  const { do: command, ...values } = JSON.parse(body)
  commands[command](values)
  start()
  response.end('{}')
}

const counts = {}
const server = createServer((request, response) => {
  const path = request.url.split('?')[0]
  if (path === '/control') return control(request, response)
  if (path === '/counts') return response.end(JSON.stringify(counts))
  counts[path] = (counts[path] ?? 0) + 1
  const served = `/.well-known/oauth-authorization-server${settings.path}`
  if (settings.path && path === served) {
    request.url = '/.well-known/oauth-authorization-server' // RFC 8414, section 3.1
    request.originalUrl = settings.path + request.url
  } else if (settings.path) {
    if (!path.startsWith(`${settings.path}/`)) return response.writeHead(404).end()
    request.originalUrl = request.url
    request.url = request.url.slice(settings.path.length)
  }
  if (request.url.startsWith('/interaction/')) {
    return signIn(request, response).catch((error) => response.writeHead(400).end(String(error)))
  }
  return handle(request, response)
})

server.listen(0, '127.0.0.1', () => {
  issuer = `http://127.0.0.1:${server.address().port}${settings.path}`
  start()
  console.log(JSON.stringify({ url: issuer }))
})
process.stdin.on('end', () => process.exit()).resume()
