import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'

const MODULE = new URL('../../src/start/helper-threads.js', import.meta.url).href
const ELSEWHERE = process.platform !== 'linux' && 'threads have a priority of their own on Linux alone'

/** The niceness of a process's main thread, and of its others in the order in which they were started. */
const nicenessesAfter = (step: string, poolSize: number): readonly number[] => {
  const script = `
    import { readdirSync } from 'node:fs'
    import { readFile } from 'node:fs/promises'
    import { getPriority } from 'node:os'
    import { setImmediate as turn } from 'node:timers/promises'
    import { letHelpersGiveWay, lowerHelpers } from '${MODULE}'
    await readFile('/proc/self/stat')
    const nicenesses = () => {
      const ids = readdirSync('/proc/self/task').map(Number).filter((id) => id !== process.pid).sort((a, b) => a - b)
      return [process.pid, ...ids].map((id) => getPriority(id))
    }
    const cpuMs = () => {
      const { user, system } = process.cpuUsage()
      return (user + system) / 1000
    }
    ${step}
    console.log(JSON.stringify(nicenesses()))
  `
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', script], {
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: `--v8-pool-size=${poolSize}` },
    timeout: 60_000,
  })
  return JSON.parse(output) as readonly number[]
}

test('the threads of V8 give way, and neither the one that serves nor those that read files and verify do', {
  skip: ELSEWHERE,
}, () => {
  for (const poolSize of [1, 3]) {
    const [serving, ...others] = nicenessesAfter('lowerHelpers()', poolSize)
    const expected = Array.from({ length: 1 + poolSize }, () => 10)
    assert.equal(serving, 0)
    assert.deepEqual(others.slice(0, 1 + poolSize), expected)
    assert.ok(others.length > 1 + poolSize)
    assert.deepEqual(new Set(others.slice(1 + poolSize)), new Set([0]))
  }
})

test('they do so once the process is warm, and not before', { skip: ELSEWHERE }, () => {
  for (const warmMs of [0, 1000]) {
    const step = `
      letHelpersGiveWay({ warmMs: ${warmMs}, lookMs: 1 })
      while (nicenesses()[1] === 0) {
        if (cpuMs() > ${warmMs} + 5000) throw new Error('no thread gives way')
        await turn()
      }
      if (cpuMs() < ${warmMs}) throw new Error('a thread gives way too early')
    `
    assert.deepEqual(nicenessesAfter(step, 1).slice(0, 3), [0, 10, 10])
  }
})
