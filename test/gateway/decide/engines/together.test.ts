import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isRefusal, refuse } from '../../../../src/core/refusals.ts'
import type { Engine, EngineAnswers } from '../../../../src/gateway/decide/engines/engine.ts'
import { joinEngines } from '../../../../src/gateway/decide/engines/together.ts'
import { accountQuestions, allow, deny } from '../decide-world.ts'

const DOWN = refuse('decide', 'engine_unavailable', 'down')
const [ONE] = [accountQuestions('1')]
const never = (): Promise<EngineAnswers> => new Promise(() => undefined)
const later = (answers: EngineAnswers): Promise<EngineAnswers> =>
  new Promise((resolve) => setImmediate(resolve, answers))

const engine = (name: string, evaluate: Engine['evaluate'], version = `${name}-1`): Engine => ({
  name,
  type: 'fake',
  policyVersion: () => version,
  evaluate,
})

const ask = async (...engines: readonly Engine[]): Promise<string> => {
  const answers = await joinEngines(engines).evaluate(ONE ?? [], () => new AbortController().signal)
  if (isRefusal(answers)) return answers.refusal
  const [answer] = answers
  return `${answer?.decision} ${answer?.engines?.map(({ engine: name, decision }) => `${name}:${decision}`).join(' ')}`
}

const CASES: Readonly<Record<string, readonly [Engine, Engine, string]>> = {
  'two allows are one': [
    engine('a', () => [allow]),
    engine('b', () => later([allow])),
    'allow a:allow b:allow',
  ],
  'a deny at once ends it, and the next is not asked': [
    engine('a', () => [deny]),
    engine('b', () => assert.fail('asked')),
    'deny a:deny',
  ],
  'a deny of the second counts': [
    engine('a', () => [allow]),
    engine('b', () => [deny]),
    'deny a:allow b:deny',
  ],
  'a deny does not wait for an engine that never answers': [
    engine('a', never),
    engine('b', () => later([deny])),
    'deny b:deny',
  ],
  'a deny at once does not wait for the one that was asked before': [
    engine('a', never),
    engine('b', () => [deny]),
    'deny b:deny',
  ],
  'a deny counts although another engine is down': [
    engine('a', () => later(DOWN)),
    engine('b', () => later([deny])),
    'deny b:deny',
  ],
  'an allow does not count when another engine is down': [
    engine('a', () => [allow]),
    engine('b', () => later(DOWN)),
    'engine_unavailable',
  ],
  'nor when it is the first that is down': [
    engine('a', () => DOWN),
    engine('b', () => [allow]),
    'engine_unavailable',
  ],
  'an answer too many is no answer': [
    engine('a', () => [allow]),
    engine('b', () => [allow, allow]),
    'engine_unavailable',
  ],
  'an allow with an obligation is a deny': [
    engine('a', () => [{ ...allow, obligations: [{ type: 'x' }] }]),
    engine('b', () => assert.fail('asked')),
    'allow a:deny',
  ],
}

for (const [what, [first, second, expected]] of Object.entries(CASES)) {
  test(what, async () => {
    assert.equal(await ask(first, second), expected)
  })
}

test('engines that answer at once are answered at once', () => {
  const joined = joinEngines([engine('a', () => [allow]), engine('b', () => [allow])])
  assert.ok(!(joined.evaluate(ONE ?? [], () => assert.fail('a signal was made')) instanceof Promise))
})

test('the least ttl, all reasons of an allow, and those alone who deny of a deny, are in the answer', async () => {
  const answerOf = async (...engines: readonly Engine[]) => {
    const answers = await joinEngines(engines).evaluate(ONE ?? [], () => new AbortController().signal)
    assert.ok(!isRefusal(answers))
    return answers[0]
  }
  const a = engine('a', () => [{ ...allow, reasons: ['a1'], ttlMs: 500 }])
  const b = engine('b', () => later([{ ...allow, reasons: ['b1'], ttlMs: 100, cacheable: false }]))
  const both = await answerOf(a, b)
  assert.deepEqual([both?.reasons, both?.ttlMs, both?.cacheable], [['a1', 'b1'], 100, false])
  assert.equal(both?.policyVersion, 'a=a-1 b=b-1')
  const denied = await answerOf(
    a,
    engine('c', () => [{ ...deny, reasons: ['c1'] }]),
  )
  assert.deepEqual([denied?.decision, denied?.reasons], ['deny', ['c1']])
})

test('those under way are told when a deny has ended it', async () => {
  let signal: AbortSignal | null = null
  const slow = engine('slow', (_requests, makeSignal) => {
    signal = makeSignal()
    return never()
  })
  await ask(
    slow,
    engine('b', () => later([deny])),
  )
  assert.equal((signal as AbortSignal | null)?.aborted, true)
})
