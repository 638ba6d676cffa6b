// npm run bench [-- --install …]: set-up, then every subject in turn; see `npm run bench -- --help`.
import { join } from 'node:path'
import { prepare, root } from './prepare.mjs'
import { installMissing } from './servers.mjs'

const GENERATOR_AND_PEERS = [
  { command: 'wrk', aptPackage: 'wrk' },
  { command: 'nginx', aptPackage: 'nginx-light' },
  { command: 'caddy', aptPackage: 'caddy' },
  { command: 'redis-server', aptPackage: 'redis-server' },
]

if (prepare()) {
  if (process.argv.includes('--install')) installMissing(GENERATOR_AND_PEERS)
  await import(join(root, 'dist', 'bench', 'run.js'))
} else {
  process.exitCode = 1
}
