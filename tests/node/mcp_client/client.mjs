// The official MCP client in TypeScript: signs in, calls a tool, steps up for a second one.
// Usage: node client.mjs PACKAGES SERVER; prints the texts of the tools and the scopes asked for.

import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const [folder, server] = process.argv.slice(2)
const library = join(folder, 'node_modules', '@modelcontextprotocol', 'sdk', 'dist', 'esm', 'client')
const load = (name) => import(pathToFileURL(join(library, name)))
const { Client } = await load('index.js')
const { StreamableHTTPClientTransport } = await load('streamableHttp.js')
const { UnauthorizedError } = await load('auth.js')

const callback = 'http://127.0.0.1:9/callback'
const asked = []
let code

const auth = {
  redirectUrl: callback,
  clientMetadata: {
    client_name: 'test', redirect_uris: [callback], token_endpoint_auth_method: 'none',
    // With a refresh token version 1.32 refreshes on a 403, instead of asking for the scope.
    grant_types: ['authorization_code'], response_types: ['code'],
    application_type: 'native',
  },
  clientInformation () { return this.client },
  saveClientInformation (client) { this.client = client },
  tokens () { return this.kept },
  saveTokens (tokens) { this.kept = tokens },
  saveCodeVerifier (verifier) { this.verifier = verifier },
  codeVerifier () { return this.verifier },
  async redirectToAuthorization (url) {
    asked.push({ scope: url.searchParams.get('scope'), resource: url.searchParams.get('resource') })
    code = await signIn(url)
  },
}

async function signIn (url) {
  const cookies = new Map()
  for (let place = String(url); ;) {
    const cookie = [...cookies].map((pair) => pair.join('=')).join('; ')
    const answer = await fetch(place, { redirect: 'manual', headers: { cookie } })
    for (const set of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(set)
      cookies.set(name, value)
    }
    if (!answer.headers.has('location')) throw new Error(await answer.text())
    place = String(new URL(answer.headers.get('location'), place))
    if (place.startsWith(callback)) return new URL(place).searchParams.get('code')
  }
}

async function connected () {
  const client = new Client({ name: 'test', version: '1' })
  const transport = new StreamableHTTPClientTransport(new URL(server), { authProvider: auth })
  await client.connect(transport)
  return { client, transport }
}

async function withSignIn (action) {
  try {
    return await action()
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error
    const transport = new StreamableHTTPClientTransport(new URL(server), { authProvider: auth })
    await transport.finishAuth(code)
    return action()
  }
}

const { client } = await withSignIn(connected)
const call = async (name, args) => {
  const result = await withSignIn(() => client.callTool({ name, arguments: args }))
  return result.content[0].text
}
const texts = [await call('who', {}), await call('add_note', { text: 'x' })]
console.log(JSON.stringify({ texts, asked }))
process.exit()
