import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RecordEntry } from '../../../src/core/record-entry.ts'
import { type Refusal, refuse } from '../../../src/core/refusals.ts'
import { createFloods } from '../../../src/gateway/record/floods.ts'
import { allowedEntry, fixedClock, keepingLog, NOW_MS, until } from './samples.ts'

const NO_ROUTE = refuse('accept', 'no_route', 'no route')
const UNKNOWN = refuse('authenticate', 'unauthenticated', 'no credential')

const refusedEntry = (ip: string, outcome: Refusal = NO_ROUTE): RecordEntry => ({
  id: 'one',
  outcome,
  request: { id: 'one', method: 'GET', host: 'a', path: '/', ip, receivedAtMs: NOW_MS },
  route: null,
  identity: null,
  bound: null,
  latencyUs: {},
})

const build = ({ perAddress = 3, window = 60_000, addresses = 100 } = {}) => {
  const recorded: RecordEntry[] = []
  const logged = keepingLog()
  let answer: true | Refusal = true
  const floods = createFloods({
    config: { perAddress, window, addresses },
    record: (entry) => {
      if (answer === true) recorded.push(entry)
      return answer
    },
    clock: fixedClock,
    log: logged.log,
  })
  return {
    floods,
    logged,
    send: (count: number, entry: RecordEntry) =>
      Array.from({ length: count }, () => floods.absorb(entry)).filter((absorbed) => absorbed).length,
    answer: (next: true | Refusal) => {
      answer = next
    },
    lines: () =>
      recorded.map(({ request, outcome, coalesced }) => {
        assert.ok('refusal' in outcome)
        return [request.ip, outcome.refusal, coalesced?.count]
      }),
  }
}

test('refusals above the number become one line a kind, and the counts are exact at the end', () => {
  const { floods, send, lines } = build()
  assert.equal(send(10, refusedEntry('192.0.2.1')), 7)
  assert.equal(send(5, refusedEntry('192.0.2.1', UNKNOWN)), 5)
  assert.equal(send(3, refusedEntry('192.0.2.2')), 0)
  assert.deepEqual(lines(), [])
  floods.close()
  assert.deepEqual(lines(), [
    ['192.0.2.1', 'no_route', 7],
    ['192.0.2.1', 'unauthenticated', 5],
  ])
  assert.equal(send(1, refusedEntry('192.0.2.1')), 0)
  floods.close()
  assert.equal(lines().length, 2)
})

test('a window ends by itself, and the next one begins anew', async () => {
  const { send, lines, floods } = build({ window: 100 })
  send(5, refusedEntry('192.0.2.1'))
  await until(() => lines().length === 1)
  assert.deepEqual(lines(), [['192.0.2.1', 'no_route', 2]])
  send(4, refusedEntry('192.0.2.1'))
  floods.close()
  assert.deepEqual(lines(), [
    ['192.0.2.1', 'no_route', 2],
    ['192.0.2.1', 'no_route', 1],
  ])
})

test('nothing that was decided, forwarded or failed later is ever counted instead of recorded', () => {
  const { send } = build({ perAddress: 1 })
  const allowed = allowedEntry()
  const denied: RecordEntry = {
    ...allowed,
    outcome: { ...allowedEntry().outcome, decision: 'deny' } as never,
  }
  assert.equal(send(10, allowed), 0)
  assert.equal(send(10, denied), 0)
  assert.equal(send(10, { ...refusedEntry('192.0.2.1', UNKNOWN), observed: true }), 0)
  assert.equal(send(10, { ...refusedEntry('192.0.2.1'), follows: 'another' }), 0)
  for (const code of ['engine_unavailable', 'upstream_unavailable', 'internal', 'too_large'] as const) {
    assert.equal(send(10, refusedEntry('192.0.2.1', refuse('decide', code, 'x'))), 0)
  }
})

test('more addresses than are counted on their own share one count without an address', () => {
  const { floods, send, lines } = build({ perAddress: 1, addresses: 2 })
  for (let index = 0; index < 1000; index += 1) send(2, refusedEntry(`198.51.100.${index}`))
  floods.close()
  assert.deepEqual(lines(), [
    ['198.51.100.0', 'no_route', 1],
    ['198.51.100.1', 'no_route', 1],
    ['', 'no_route', 1995],
  ])
})

test('counts that could not be recorded are kept for the next window', async () => {
  const { floods, send, lines, answer, logged } = build({ perAddress: 1, window: 100 })
  answer(refuse('record', 'audit_unavailable', 'full'))
  send(3, refusedEntry('192.0.2.1'))
  await new Promise((resolve) => setTimeout(resolve, 150))
  assert.deepEqual(lines(), [])
  answer(true)
  await until(() => lines().length === 1)
  assert.deepEqual(lines(), [['192.0.2.1', 'no_route', 2]])
  answer(refuse('record', 'audit_unavailable', 'full'))
  send(3, refusedEntry('192.0.2.1'))
  floods.close()
  assert.deepEqual(
    logged.lines.map(({ fields }) => fields),
    [{ refusals: 2 }],
  )
})
