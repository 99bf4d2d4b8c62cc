// Serves one application of one rival until it is ended: node serve.mjs NAME KIND MATERIAL.
// Prints the port once it listens.
import { readMaterial } from './material.mjs'

const [name, kind, path] = process.argv.slice(2)
const module = await import(`./${name}.mjs`)
const port = kind === 'bare' ? await module.bare() : await module[kind](readMaterial(path))
process.stdout.write(`${port}\n`)
