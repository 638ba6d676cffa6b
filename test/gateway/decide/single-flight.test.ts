import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isRefusal, refuse } from '../../../src/core/refusals.ts'
import type { EngineAnswers } from '../../../src/gateway/decide/engines/engine.ts'
import { allow, deny, questionOf, type WorldOptions, world } from './decide-world.ts'

interface Call {
  readonly answer: (answers: EngineAnswers) => void
  readonly fail: (bug: Error) => void
  readonly signal: AbortSignal
}

/** An engine that answers when the test says so. */
const later = (options: WorldOptions = {}) => {
  const calls: Call[] = []
  const made = world({
    ...options,
    evaluate: (_, signal) =>
      new Promise((resolve, reject) => {
        calls.push({ answer: resolve, fail: reject, signal: signal() })
      }),
  })
  const call = (index: number): Call => {
    const found = calls[index]
    assert.ok(found !== undefined, `the engine was asked ${calls.length} times`)
    return found
  }
  return { ...made, call, calls }
}

const refusalOf = async (outcome: ReturnType<ReturnType<typeof later>['decide']>): Promise<string> => {
  const known = await outcome
  assert.ok(isRefusal(known))
  return known.refusal
}

describe('callers that ask the same at the same time', () => {
  it('ask the engine once, and all get its answer', async () => {
    const { decide, call, calls } = later()
    const outcomes = Array.from({ length: 50 }, () => decide(questionOf()))
    call(0).answer([allow])
    const decisions = await Promise.all(outcomes)
    assert.equal(new Set(decisions).size, 1)
    assert.ok(decisions[0] !== undefined && 'grant' in decisions[0])
    const after = decide(questionOf())
    assert.ok('source' in after && after.source === 'grant')
    assert.equal(calls.length, 1)
  })

  it('ask the engine once also for what is then not kept', async () => {
    for (const answers of [[deny], refuse('decide', 'engine_unavailable', 'down')]) {
      const { decide, call, calls } = later()
      const outcomes = [decide(questionOf()), decide(questionOf())]
      call(0).answer(answers)
      const [first, second] = await Promise.all(outcomes)
      assert.equal(first, second)
      void decide(questionOf())
      assert.equal(calls.length, 2)
    }
  })

  it('do not share with those who ask something else', () => {
    const { decide, calls } = later()
    void decide(questionOf())
    void decide(questionOf({ id: '43' }))
    void decide(questionOf({ credential: { digest: 'e' } }))
    assert.equal(calls.length, 3)
  })

  it('do not share where the engine is to be asked every time', () => {
    const none = later({ grant: null })
    void none.decide(questionOf())
    void none.decide(questionOf())
    assert.equal(none.calls.length, 2)
    const changing = later()
    void changing.decide(questionOf({ bound: { cacheable: false } }))
    void changing.decide(questionOf({ bound: { cacheable: false } }))
    assert.equal(changing.calls.length, 2)
  })

  it('all learn of a bug, and the next one asks again', async () => {
    const { decide, call, calls } = later()
    const outcomes = [decide(questionOf()), decide(questionOf())]
    call(0).fail(new Error('a bug'))
    for (const outcome of outcomes) await assert.rejects(async () => outcome, /a bug/)
    void decide(questionOf())
    assert.equal(calls.length, 2)
  })
})

describe('a caller that goes away', () => {
  it('does not take the answer from the others, not even when it came first', async () => {
    const { decide, call } = later()
    const caller = new AbortController()
    const first = decide(questionOf({ signal: caller.signal }))
    const second = decide(questionOf())
    caller.abort()
    assert.equal(await refusalOf(first), 'engine_unavailable')
    assert.equal(call(0).signal.aborted, false)
    call(0).answer([allow])
    const decision = await second
    assert.ok('decision' in decision && decision.decision === 'allow')
  })

  it('ends the question when it was the last one, and the next one asks anew', async () => {
    const { decide, call, calls } = later()
    const callers = [new AbortController(), new AbortController()]
    const outcomes = callers.map(({ signal }) => decide(questionOf({ signal })))
    for (const caller of callers) caller.abort()
    for (const outcome of outcomes) assert.equal(await refusalOf(outcome), 'engine_unavailable')
    assert.equal(call(0).signal.aborted, true)
    const next = decide(questionOf())
    assert.equal(calls.length, 2)
    // The first one's end, however late, does not disturb the second.
    call(0).fail(new Error('aborted'))
    const joined = decide(questionOf())
    assert.equal(calls.length, 2)
    call(1).answer([allow])
    assert.equal(await next, await joined)
  })

  it('before it asked gets no decision', async () => {
    const { decide, call } = later()
    assert.equal(await refusalOf(decide(questionOf({ signal: AbortSignal.abort() }))), 'engine_unavailable')
    assert.equal(call(0).signal.aborted, true)
  })
})

describe('an engine that does not answer', () => {
  it('is given up and told so at the deadline', async () => {
    const { decide, call, calls } = later({ engineTimeoutMs: 5 })
    const outcomes = [decide(questionOf()), decide(questionOf())]
    for (const outcome of outcomes) {
      const refusal = await outcome
      assert.ok(isRefusal(refusal))
      assert.deepEqual([refusal.refusal, refusal.stage], ['engine_unavailable', 'decide'])
    }
    assert.equal(call(0).signal.aborted, true)
    void decide(questionOf())
    assert.equal(calls.length, 2)
  })

  it('may have a deadline of its own', async () => {
    const { decide } = later({ engineTimeoutMs: 3_600_000, engine: { timeoutMs: 5 } })
    assert.equal(await refusalOf(decide(questionOf())), 'engine_unavailable')
  })
})
