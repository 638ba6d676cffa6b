// What one decision by Cedar costs with 10, 1,000 and 10,000 policies: node dist/bench/cedar-scale.js
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfiguration } from '../src/config/load.ts'
import { systemClock } from '../src/core/clock.ts'

const DECISIONS = 3000
/** Users that ask, in turn: each has a policy of its own. */
const USERS = 8

const silent = (): void => undefined
const log = { debug: silent, info: silent, warn: silent, error: silent }

const policies = (count: number): string => {
  const own = Array.from({ length: count - 2 }, (_, number) => {
    const scope = `principal == User::"u${number}", action == Action::"read", resource is Account`
    return `@id("p${number}") permit (${scope}) when { resource.owner == principal };`
  })
  return [
    ...own,
    '@id("frozen") forbid (principal, action, resource is Account) when { resource.frozen };',
    '@id("clerks") permit (principal in Group::"clerks", action == Action::"read", resource is Account);',
  ].join('\n')
}

const measure = async (count: number): Promise<void> => {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-bench-'))
  try {
    writeFileSync(join(directory, 'p.cedar'), policies(count))
    const gateway = `version: 1
listeners: [{ bind: "127.0.0.1:0" }]
engines: { bank: { type: cedar, policies: [p.cedar] } }
routes: []
`
    const file = join(directory, 'sallyport.yaml')
    writeFileSync(file, gateway)
    const startedMs = performance.now()
    const { configuration, findings } = await loadConfiguration(file, { env: {}, clock: systemClock, log })
    const engine = configuration?.engines.get('bank')?.create()
    if (engine === undefined) throw new Error(JSON.stringify(findings))
    const loadMs = performance.now() - startedMs
    const ask = (number: number): void => {
      const id = `u${number % Math.min(USERS, count - 2)}`
      const owner = { __entity: { type: 'User', id } }
      const request = {
        subject: { type: 'User', id },
        action: { name: 'read' },
        resource: { type: 'Account', id: '1', properties: { owner, frozen: false } },
        context: {},
      }
      void engine.evaluate([request], () => AbortSignal.timeout(1000))
    }
    for (let number = 0; number < DECISIONS / 3; number += 1) ask(number)
    const beganMs = performance.now()
    for (let number = 0; number < DECISIONS; number += 1) ask(number)
    const eachUs = ((performance.now() - beganMs) * 1000) / DECISIONS
    console.log(`${count} policies: ${eachUs.toFixed(0)} µs a decision, loaded in ${loadMs.toFixed(0)} ms`)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

for (const count of [10, 1000, 10_000]) await measure(count)
