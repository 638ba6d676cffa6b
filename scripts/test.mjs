// npm test [-- part-of-a-path…]: set-up, real servers, every test; ends with `N passed, N failed[, N skipped]`.
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { run as runTests } from 'node:test'
import { spec } from 'node:test/reporters'
import { prepare, root } from './prepare.mjs'
import { fetchServers } from './servers.mjs'
import { fetchTools } from './tools.mjs'

// One test file is one process; one that hangs fails instead of holding up the rest for ever.
const FILE_DEADLINE_MS = 300_000

const findTests = (parts) =>
  readdirSync(join(root, 'dist', 'test'), { recursive: true })
    .filter((file) => file.endsWith('.test.js'))
    .map((file) => join(root, 'dist', 'test', file))
    .filter((file) => parts.length === 0 || parts.some((part) => relative(root, file).includes(part)))
    .sort()

/** Counts what the runner reports: suites, parents and files are not tests, but fail where they break by themselves. */
const createCount = () => {
  const count = { passed: 0, failed: 0, skipped: [] }
  const isFile = ({ name, file }) => file !== undefined && resolve(root, name) === resolve(root, file)
  const onPass = (test) => {
    if (test.details?.type === 'suite' || isFile(test)) return
    if (test.skip !== undefined || test.todo !== undefined) {
      const reason = [test.skip, test.todo].find((text) => typeof text === 'string' && text !== '')
      count.skipped.push(`${test.name}: ${reason ?? 'no reason given'}`)
    } else {
      count.passed += 1
    }
  }
  const onFail = (test) => {
    if (test.details?.error?.failureType !== 'subtestsFailed') count.failed += 1
  }
  return { count, onPass, onFail }
}

const runAll = async (files) => {
  const { count, onPass, onFail } = createCount()
  const concurrency = Math.max(2, availableParallelism())
  const events = runTests({ files, concurrency, timeout: FILE_DEADLINE_MS })
  events.on('test:pass', onPass)
  events.on('test:fail', onFail)
  for await (const text of events.compose(new spec())) process.stdout.write(text)
  return count
}

const report = ({ passed, failed, skipped }) => {
  for (const line of skipped) console.log(`skipped: ${line}`)
  console.log(`${passed} passed, ${failed} failed${skipped.length > 0 ? `, ${skipped.length} skipped` : ''}`)
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1
}

if (prepare()) {
  const files = findTests(process.argv.slice(2))
  fetchServers()
  fetchTools(files)
  report(await runAll(files))
} else {
  console.log('nothing was tested: the set-up failed, see above')
  report({ passed: 0, failed: 1, skipped: [] })
}
