// npm run schema: writes config/sallyport.schema.json, which editors read, from the schemas in the code.
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { prepare, root } from './prepare.mjs'

const writeSchema = () => {
  const printed = spawnSync(process.execPath, [join(root, 'bin', 'sallyport'), 'schema'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  })
  if (printed.status !== 0) return false
  writeFileSync(join(root, 'config', 'sallyport.schema.json'), printed.stdout)
  return true
}

process.exitCode = prepare() && writeSchema() ? 0 : 1
