import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'

const MODULE = new URL('../../src/start/heap-growth.js', import.meta.url).href

/** How often the old generation is collected while 400 MB go through it, of which so much is alive at a time. */
const collections = (aliveMegabytes: number, growthMegabytes: number): number => {
  const script = `
    import { PerformanceObserver } from 'node:perf_hooks'
    import { setImmediate as turn } from 'node:timers/promises'
    import { growHeapBy } from '${MODULE}'
    const alive = []
    const fill = (at) => { alive[at % ${aliveMegabytes}] = Array.from({ length: 1000 }, () => new Array(125).fill(at)) }
    for (let at = 0; at < ${aliveMegabytes}; at += 1) fill(at)
    growHeapBy(${growthMegabytes} * 1024 * 1024)
    let count = 0
    new PerformanceObserver((list) => {
      count += list.getEntries().filter(({ detail }) => detail.kind === 4).length
    }).observe({ entryTypes: ['gc'] })
    for (let at = 0; at < 400; at += 1) {
      fill(at)
      await turn()
    }
    console.log(count)
  `
  const args = ['--max-semi-space-size=1', '--input-type=module', '--eval', script]
  return Number(execFileSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000 }))
}

test('the old generation is collected when it has grown by so much, however much of it is alive', () => {
  for (const aliveMegabytes of [20, 80]) {
    const [often, seldom] = [collections(aliveMegabytes, 20), collections(aliveMegabytes, 200)]
    assert.ok(often >= 8 && often <= 40, `${aliveMegabytes} MB alive: ${often} times`)
    assert.ok(seldom <= 3, `${aliveMegabytes} MB alive: ${seldom} times`)
  }
})
