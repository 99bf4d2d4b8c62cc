// Times the decode call of one rival inside its process, as apps/decode.py does, and prints JSON:
// node decode.mjs NAME MATERIAL TOKENS SECONDS.
import { readFileSync } from 'node:fs'
import { readMaterial } from './material.mjs'

const HOT = 8
const WARM_UP = 250

const [name, material, path, seconds] = process.argv.slice(2)
const module = await import(`./${name}.mjs`)
const decode = await module.decoder(readMaterial(material))
const isAsync = decode.constructor.name === 'AsyncFunction'
const tokens = readFileSync(path, 'ascii').split('\n').filter(Boolean)
const batches = []
for (let start = 0; start + HOT <= tokens.length; start += HOT) {
  batches.push(tokens.slice(start, start + HOT))
}
const [hot, ...fresh] = batches

// CPU time of the whole process, its helper threads included.
async function time(batch) {
  const start = process.cpuUsage()
  if (isAsync) {
    for (const token of batch) await decode(token)
  } else {
    for (const token of batch) decode(token)
  }
  const { user, system } = process.cpuUsage(start)
  return (user + system) / batch.length
}

// The compiler needs more calls than the caches: hundreds of batches.
for (let turn = 0; turn < WARM_UP; turn++) await time(hot)
for (const batch of fresh.slice(0, WARM_UP)) await time(batch)
const end = performance.now() + Number(seconds) * 1000
const taken = { cold: [], hot: [] }
for (const batch of fresh.slice(WARM_UP)) {
  taken.cold.push(await time(batch))
  taken.hot.push(await time(hot))
  if (performance.now() > end) break
}
process.stdout.write(JSON.stringify(taken))
