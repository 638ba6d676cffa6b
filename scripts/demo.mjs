// npm run demo [-- --once]: set-up, then `sallyport demo` in this very process, so that signals reach it.
import { join } from 'node:path'
import { prepare, root } from './prepare.mjs'

if (prepare()) {
  const command = join(root, 'bin', 'sallyport')
  process.argv = [process.execPath, command, 'demo', ...process.argv.slice(2)]
  await import('../bin/sallyport')
} else {
  process.exitCode = 1
}
