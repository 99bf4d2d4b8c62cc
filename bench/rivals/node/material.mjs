// What every rival is given, as Material.write leaves it.
import { readFileSync } from 'node:fs'

export const USER = '00000000-0000-4000-8000-000000000001'
export const TENANT = 'shop-1'
export const CACHED = 25_000

export function readMaterial(path) {
  const members = JSON.parse(readFileSync(path, 'utf8'))
  members.verifiesWith = members.secret || members.public_pem
  members.signsWith = members.secret || members.private_pem
  return members
}

// The token of a Bearer header, or undefined.
export function bearer(request) {
  const header = request.headers.authorization
  return header?.startsWith('Bearer ') ? header.slice(7) : undefined
}
