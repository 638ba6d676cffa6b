import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Exchange } from '../../src/core/exchange.ts'
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
  const lease = streams.open({ accepted, identity, bound, decision, decisionId: 'one' }, undefined)
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
