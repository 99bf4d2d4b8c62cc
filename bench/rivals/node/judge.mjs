// Says what one rival makes of each token of a file, and how long that took, as apps/judge.py does:
// node judge.mjs NAME MATERIAL TOKENS.
import { readFileSync } from 'node:fs'
import { readMaterial } from './material.mjs'

const [name, material, path] = process.argv.slice(2)
const module = await import(`./${name}.mjs`)
const decode = await module.decoder(readMaterial(material))
for (const token of readFileSync(path, 'ascii').split('\n').filter(Boolean)) {
  const times = []
  let outcome
  for (let turn = 0; turn < 3; turn++) {
    const start = process.cpuUsage()
    try {
      await decode(token)
      outcome = 'accepted'
    } catch (error) {
      outcome = error.code ?? error.name
    }
    const { user, system } = process.cpuUsage(start)
    times.push(user + system)
  }
  process.stdout.write(`${JSON.stringify({ outcome, microseconds: Math.min(...times) })}\n`)
}
