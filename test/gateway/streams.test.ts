import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Exchange } from '../../src/core/exchange.ts'
import { type HeldRecord, RECORDED, type RecordEntry } from '../../src/core/record-entry.ts'
import { type Refusal, refuse } from '../../src/core/refusals.ts'
import type { CanonicalRequest } from '../../src/core/request.ts'
import { createPipeline } from '../../src/gateway/pipeline.ts'
import type { Question, Stages } from '../../src/gateway/stages.ts'
import { createStreams } from '../../src/gateway/streams.ts'
import { questionOf } from './decide/decide-world.ts'
import { manualClock } from './decide/manual-clock.ts'

const nothing = (): void => undefined

test('a stream is decided again about the whole request, for engines that read it', async () => {
  const clock = manualClock()
  const { route, identity, bound } = questionOf()
  const request = { id: 'one', names: [], headers: [] } as unknown as CanonicalRequest
  const decision = {
    ...({ decision: 'allow', source: 'engine', policyVersion: 'v1' } as const),
    ...{ reasons: [], errors: [] },
  }
  let tell: (question: Question) => void
  const asked = new Promise<Question>((resolve) => {
    tell = resolve
  })
  const stages = {
    decide: (question: Question) => {
      tell(question)
      return decision
    },
    record: () => true as const,
    streamRoute: () => route,
  }
  const log = { debug: nothing, info: nothing, warn: nothing, error: nothing }
  const streams = createStreams({ current: () => stages, clock, log })
  const accepted = { request, route, path: {} }
  const lease = streams.open(
    { accepted, identity, bound, decision, decisionId: 'one', record: RECORDED },
    undefined,
  )
  lease.becomes('events')
  clock.pass(61_000)
  // What looks at streams keeps no process alive.
  const alive = setInterval(nothing, 1000)
  assert.equal((await asked).request, request)
  clearInterval(alive)
  lease.ended('application')
})

test('what was let through is not kept after a bug has ended it', async () => {
  const clock = manualClock()
  const { route, identity, bound } = questionOf()
  const request = { id: 'one', names: [], headers: [] } as unknown as CanonicalRequest
  const decision = {
    ...({ decision: 'allow', source: 'engine', policyVersion: 'v1' } as const),
    ...{ reasons: [], errors: [] },
  }
  let refused: () => void
  const ended = new Promise<void>((resolve) => {
    refused = resolve
  })
  const stages: Stages = {
    accept: () => ({ request, route, path: {} }),
    authenticate: () => identity ?? assert.fail('it is known'),
    serve: () => Promise.reject(new Error('nobody asks for that')),
    needsBody: () => false,
    readBody: () => Promise.reject(new Error('nobody asks for that')),
    bind: () => bound,
    bindObserved: () => bound,
    decide: () => decision,
    record: () => true,
    forward: () => Promise.reject(new Error('a bug')),
    refuse: () => refused(),
  }
  const log = { debug: nothing, info: nothing, warn: nothing, error: nothing }
  const streams = createStreams({ current: () => stages, clock, log })
  const pipeline = createPipeline({ current: () => stages, streams, clock, log })
  const reply = { headSent: () => false, abort: nothing }
  const { signal } = new AbortController()
  pipeline.handle({ head: {}, reply, signal: () => signal } as unknown as Exchange)
  assert.equal(streams.counts().transfer, 1)
  await ended
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(streams.counts().transfer, 0)
})

const LOST = refuse('record', 'audit_unavailable', 'audit[0]: ENOSPC')
const lost: HeldRecord = { settle: () => LOST }

/** A pipeline that lets everything through, and keeps no record of it. */
const unrecording = (forward: Stages['forward']) => {
  const { route, identity, bound } = questionOf()
  const request = { id: 'one', names: [], headers: [] } as unknown as CanonicalRequest
  const entries: RecordEntry[] = []
  const unused = () => Promise.reject(new Error('nobody asks for that'))
  const refused = new Promise<readonly [Refusal, string | null]>((resolve) => {
    const stages: Stages = {
      accept: () => ({ request, route, path: {} }),
      authenticate: () => identity ?? assert.fail('it is known'),
      serve: unused,
      needsBody: () => false,
      readBody: unused,
      bind: () => bound,
      bindObserved: () => bound,
      decide: () => ({
        ...({ decision: 'allow', source: 'engine', policyVersion: 'v1' } as const),
        ...{ reasons: [], errors: [] },
      }),
      record: (entry) => {
        entries.push(entry)
        return true
      },
      hold: () => lost,
      forward,
      refuse: (_exchange, refusal, decisionId) => resolve([refusal, decisionId]),
    }
    const clock = manualClock()
    const log = { debug: nothing, info: nothing, warn: nothing, error: nothing }
    const streams = createStreams({ current: () => stages, clock, log })
    const reply = { headSent: () => false, abort: nothing }
    const exchange = { head: { headers: [] }, reply, signal: () => AbortSignal.abort() }
    createPipeline({ current: () => stages, streams, clock, log }).handle(exchange as unknown as Exchange)
  })
  return { refused, entries }
}

for (const [what, outcome] of Object.entries({
  'its caller was gone': true,
  'the application failed': refuse('enforce', 'upstream_unavailable', 'nobody there'),
} as const)) {
  test(`a request without its record is refused for that, also where ${what}, and nothing follows the record`, async () => {
    const { refused, entries } = unrecording(({ lease }) => {
      lease?.becomes('events')
      return outcome
    })
    assert.deepEqual(await refused, [LOST, null])
    assert.deepEqual(entries, [])
  })
}

test('a bug behind a record that was lost is recorded, and follows nothing', async () => {
  const { refused, entries } = unrecording(() => Promise.reject(new Error('a bug')))
  const [{ refusal }, decisionId] = await refused
  assert.equal(refusal, 'internal')
  assert.deepEqual(
    entries.map(({ id, follows }) => [id, follows]),
    [['one', undefined]],
  )
  assert.equal(decisionId, 'one')
})
