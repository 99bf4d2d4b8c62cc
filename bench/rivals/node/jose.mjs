// jose on node:http, as its page "jwtVerify" sets it up, with a key object made once.
import { importSPKI, jwtVerify } from 'jose'
import { bare, guardedByAsync } from './http_app.mjs'

export { bare }

export async function decoder(material) {
  const key = material.secret
    ? new TextEncoder().encode(material.secret)
    : await importSPKI(material.public_pem, material.alg)
  const options = {
    algorithms: material.algorithms,
    issuer: material.issuer,
    audience: material.audience,
    requiredClaims: ['exp', 'iss', 'aud', 'sub']
  }
  return async token => (await jwtVerify(token, key, options)).payload
}

export const guarded = async material => guardedByAsync(await decoder(material))
