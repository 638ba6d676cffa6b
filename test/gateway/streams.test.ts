import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CanonicalRequest } from '../../src/core/request.ts'
import type { Question } from '../../src/gateway/stages.ts'
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
