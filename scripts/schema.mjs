// npm run schema: writes config/*.schema.json for editors and config/reference.md for people, from the schemas in the code.
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { renderFromFiles } from './configuration-reference.mjs'
import { prepare, root } from './prepare.mjs'

const writeSchema = (name, ...options) => {
  const printed = spawnSync(process.execPath, [join(root, 'bin', 'sallyport'), 'schema', ...options], {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  })
  if (printed.status !== 0) return false
  writeFileSync(join(root, 'config', name), printed.stdout)
  return true
}

const written = () =>
  writeSchema('sallyport.schema.json') &&
  writeSchema('routes.schema.json', '--routes') &&
  writeSchema('tests.schema.json', '--tests')

const writeReference = () => {
  writeFileSync(join(root, 'config', 'reference.md'), renderFromFiles())
  return true
}

process.exitCode = prepare() && written() && writeReference() ? 0 : 1
