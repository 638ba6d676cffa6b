import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'

const MODULE = new URL('../../src/start/helper-threads.js', import.meta.url).href

/** The niceness of a process's main thread, and of its others in the order in which they were started. */
const nicenessesWith = (poolSize: number): readonly number[] => {
  const script = `
    import { readdirSync } from 'node:fs'
    import { readFile } from 'node:fs/promises'
    import { getPriority } from 'node:os'
    import { lowerHelpers } from '${MODULE}'
    await readFile('/proc/self/stat')
    lowerHelpers()
    const ids = readdirSync('/proc/self/task').map(Number).filter((id) => id !== process.pid).sort((a, b) => a - b)
    console.log(JSON.stringify([process.pid, ...ids].map((id) => getPriority(id))))
  `
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', script], {
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: `--v8-pool-size=${poolSize}` },
  })
  return JSON.parse(output) as readonly number[]
}

test('the threads of V8 give way, and neither the one that serves nor those that read files and verify do', {
  skip: process.platform !== 'linux' && 'threads have a priority of their own on Linux alone',
}, () => {
  for (const poolSize of [1, 3]) {
    const [serving, ...others] = nicenessesWith(poolSize)
    const expected = Array.from({ length: 1 + poolSize }, () => 10)
    assert.equal(serving, 0)
    assert.deepEqual(others.slice(0, 1 + poolSize), expected)
    assert.ok(others.length > 1 + poolSize)
    assert.deepEqual(new Set(others.slice(1 + poolSize)), new Set([0]))
  }
})
