import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { refuse } from '../../../src/core/refusals.ts'
import { sharedWaitOf } from '../../../src/core/shared-wait.ts'
import type { EngineAnswer } from '../../../src/gateway/decide/engines/engine.ts'
import { createMemoryStore } from '../../../src/gateway/decide/grants/memory.ts'
import type { Grant } from '../../../src/gateway/decide/grants/store.ts'
import {
  accountQuestions,
  allow,
  type Change,
  deny,
  questionOf,
  START_S,
  type WorldOptions,
  world,
} from './decide-world.ts'
import { START_MS } from './manual-clock.ts'

const isDeeplyFrozen = (value: unknown): boolean =>
  typeof value !== 'object' ||
  value === null ||
  (Object.isFrozen(value) && Object.values(value).every(isDeeplyFrozen))

describe('a public route', () => {
  it('is allowed by itself, without identity, question or engine', () => {
    const { decide, asked } = world()
    const question = {
      ...questionOf({ route: { access: 'public', engine: '' }, bound: { accessRequests: [] } }),
      identity: null,
    }
    assert.deepEqual(decide(question), {
      decision: 'allow',
      reasons: [],
      errors: [],
      source: 'route',
      policyVersion: 'none',
    })
    assert.equal(asked(), 0)
  })
})

describe('a protected route', () => {
  it('never passes because nothing was asked, nobody is known, or nothing is configured', () => {
    const { decide } = world()
    assert.throws(() => decide(questionOf({ bound: { accessRequests: [] } })))
    assert.throws(() => decide({ ...questionOf(), identity: null }))
    assert.throws(() => decide(questionOf({ route: { engine: 'other' } })))
    assert.throws(() => decide(questionOf({ route: { index: 1 } })))
  })

  it('is decided by the engine at first, then by the grant, at once', () => {
    const { now, asked } = world()
    const first = now()
    const { grant, ...rest } = first
    assert.deepEqual(rest, {
      decision: 'allow',
      reasons: ['owner'],
      errors: [],
      source: 'engine',
      policyVersion: 'v1',
    })
    assert.match(grant?.id ?? '', /^[A-Za-z0-9_-]{43}$/)
    assert.equal(grant?.expiresAtMs, START_MS + 15_000)
    const second = now()
    assert.deepEqual(second, { ...first, source: 'grant' })
    assert.equal(now(), second)
    assert.equal(asked(), 1)
  })

  it('gives decisions that nobody can change', () => {
    const { now } = world({ evaluate: () => [allow, deny] })
    const bound = { accessRequests: accountQuestions('1', '2'), batch: true }
    assert.ok(isDeeplyFrozen(now({ bound })))
    assert.ok(isDeeplyFrozen(world().now()))
    const { now: again } = world()
    again()
    assert.ok(isDeeplyFrozen(again()))
  })

  it('does not change with what the engine does to its answer later', () => {
    const reasons = ['owner']
    const { now } = world({ evaluate: () => [{ ...allow, reasons }] })
    now()
    reasons.push('changed')
    assert.deepEqual(now().reasons, ['owner'])
  })

  const others: Readonly<Record<string, Change>> = {
    'another resource': { id: '43' },
    'another credential': { credential: { digest: 'e' } },
    'another authenticator': { credential: { authenticator: 'partners' } },
  }
  for (const [name, change] of Object.entries(others)) {
    // Advisory 25: what was decided for one was taken for another.
    it(`asks again for ${name}`, () => {
      const { now, asked } = world()
      now()
      assert.equal(now(change).source, 'engine')
      assert.equal(asked(), 2)
    })
  }

  it('asks again under another policy version, and then keeps both apart', () => {
    let version = 'v1'
    const { now } = world({ engine: { policyVersion: () => version } })
    now()
    version = 'v2'
    assert.deepEqual([now().source, now().policyVersion], ['engine', 'v2'])
    version = 'v1'
    assert.deepEqual([now().source, now().policyVersion], ['grant', 'v1'])
  })

  it('does not keep an answer during which the policies changed', () => {
    let version = 'v1'
    const { now, asked } = world({
      engine: { policyVersion: () => version },
      evaluate: () => {
        version = 'v2'
        return [allow]
      },
    })
    const decision = now()
    assert.deepEqual([decision.policyVersion, decision.grant], ['v2', undefined])
    version = 'v1'
    now()
    assert.equal(asked(), 2)
  })
})

describe('the life of a grant', () => {
  it('ends with the ttl of the route', () => {
    const { now, clock } = world()
    now()
    clock.pass(14_999)
    assert.equal(now().source, 'grant')
    clock.pass(1)
    assert.equal(now().source, 'engine')
  })

  it("ends with the engine's ttl when that is shorter, and not when it is longer", () => {
    const short = world({ evaluate: () => [{ ...allow, ttlMs: 1_000 }] })
    assert.equal(short.now().grant?.expiresAtMs, START_MS + 1_000)
    const long = world({ evaluate: () => [{ ...allow, ttlMs: 60_000 }] })
    assert.equal(long.now().grant?.expiresAtMs, START_MS + 15_000)
    for (const ttlMs of [0, -1, Number.NaN]) {
      const none = world({ evaluate: () => [{ ...allow, ttlMs }] })
      assert.equal(none.now().grant, undefined)
      assert.equal(none.now().source, 'engine')
    }
  })

  it('ends with the shortest ttl of a batch', () => {
    const { now } = world({
      evaluate: () => [
        { ...allow, ttlMs: 5_000 },
        { ...allow, ttlMs: 2_000 },
      ],
    })
    const { grant } = now({ bound: { accessRequests: accountQuestions('1', '2'), batch: true } })
    assert.equal(grant?.expiresAtMs, START_MS + 2_000)
  })

  it("ends with the credential's", () => {
    const { now, clock } = world()
    const change = { credential: { expiresAt: START_S + 5 } }
    assert.equal(now(change).grant?.expiresAtMs, START_MS + 5_000)
    clock.pass(5_000)
    assert.equal(now(change).grant, undefined)
  })

  it('does not begin when the credential has ended', () => {
    const { now, asked } = world()
    for (const expiresAt of [START_S, START_S - 60]) {
      const change = { credential: { expiresAt } }
      assert.deepEqual([now(change).decision, now(change).grant], ['allow', undefined])
    }
    assert.equal(asked(), 4)
  })

  it('counts from when the engine was asked', () => {
    const slow = world({
      evaluate: () => {
        slow.clock.pass(10_000)
        return [allow]
      },
    })
    assert.equal(slow.now().grant?.expiresAtMs, START_MS + 15_000)
    slow.clock.pass(5_000)
    assert.equal(slow.now().source, 'engine')
  })

  it('is over before it began when the engine took longer than that', () => {
    const { now, clock } = world({
      evaluate: () => {
        clock.pass(15_000)
        return [allow]
      },
    })
    assert.equal(now().grant, undefined)
  })

  it('is not longer for a clock that is set back', () => {
    const { now, clock } = world()
    now()
    clock.setWall(START_MS - 3_600_000)
    clock.pass(15_000)
    assert.equal(now().source, 'engine')
  })
})

describe('what is not kept', () => {
  it('is a deny, unless denyTtl says so', () => {
    const { now, asked } = world({ evaluate: () => [deny] })
    now()
    assert.equal(now().source, 'engine')
    assert.equal(asked(), 2)
  })

  it('is a deny after denyTtl; until then it is kept, and grants nothing', () => {
    const grant = { ttlMs: 15_000, denyTtlMs: 2_000, quantiseMs: null }
    const { now, clock } = world({ evaluate: () => [{ ...deny, reasons: ['frozen'] }], grant })
    now()
    clock.pass(1_999)
    assert.deepEqual(now(), {
      decision: 'deny',
      reasons: ['frozen'],
      errors: [],
      source: 'grant',
      policyVersion: 'v1',
    })
    clock.pass(1)
    assert.equal(now().source, 'engine')
  })

  const denyTtl = { ttlMs: 15_000, denyTtlMs: 15_000, quantiseMs: null }
  const unkept: Readonly<Record<string, EngineAnswer>> = {
    'an allow with an error in it': { ...allow, errors: ['broken: no attribute'] },
    'a deny with an error in it': { ...deny, errors: ['broken: no attribute'] },
    'an allow that the engine says not to keep': { ...allow, cacheable: false },
    'a deny that the engine says not to keep': { ...deny, cacheable: false },
  }
  for (const [name, answer] of Object.entries(unkept)) {
    it(`is ${name}`, () => {
      const { now, asked } = world({ evaluate: () => [answer], grant: denyTtl })
      assert.deepEqual(
        [now().decision, now().errors, now().grant],
        [answer.decision, answer.errors, undefined],
      )
      assert.equal(asked(), 3)
    })
  }

  it('is a refusal', () => {
    const refusal = refuse('decide', 'engine_unavailable', 'down')
    const { decide, asked } = world({ evaluate: () => refusal, grant: denyTtl })
    assert.equal(decide(questionOf()), refusal)
    assert.equal(decide(questionOf()), refusal)
    assert.equal(asked(), 2)
  })

  it('is anything on a route that says none, or that bind says changes with every request', () => {
    const none = world({ grant: null })
    assert.equal(none.now().grant, undefined)
    assert.equal(none.now().source, 'engine')
    const changing = world()
    assert.equal(changing.now({ bound: { cacheable: false } }).grant, undefined)
    assert.equal(changing.now({ bound: { cacheable: false } }).source, 'engine')
  })
})

describe('a batch', () => {
  const bound = { accessRequests: accountQuestions('1', '2'), batch: true }
  const debit = { decision: 'allow', reasons: ['owner', 'staff'], errors: [] } as const
  const credit = { decision: 'allow', reasons: ['known', 'owner'], errors: [] } as const
  const frozen = { decision: 'deny', reasons: ['frozen'], errors: [] } as const

  it('is allowed when all is, with the reasons of all and each answer in its order', () => {
    const { now } = world({ evaluate: () => [debit, credit] })
    const decision = now({ bound })
    assert.deepEqual([decision.decision, decision.reasons], ['allow', ['known', 'owner', 'staff']])
    assert.deepEqual(decision.evaluations, [debit, credit])
    assert.deepEqual(now({ bound }), { ...decision, source: 'grant' })
  })

  it('is denied when one is, with the reasons of what was denied', () => {
    for (const answers of [
      [debit, frozen],
      [frozen, debit],
    ]) {
      const decision = world({ evaluate: () => answers }).now({ bound })
      assert.deepEqual([decision.decision, decision.reasons], ['deny', ['frozen']])
      assert.deepEqual(decision.evaluations, answers)
    }
  })

  it('has the errors of all', () => {
    const answers = [
      { ...debit, errors: ['b', 'a'] },
      { ...credit, errors: ['c', 'a'] },
    ]
    assert.deepEqual(world({ evaluate: () => answers }).now({ bound }).errors, ['a', 'b', 'c'])
  })

  it('of one question still tells it as one', () => {
    const { now } = world()
    assert.equal(now({ bound: { batch: true } }).evaluations?.length, 1)
  })

  it('is not decided by fewer or more answers than questions', () => {
    for (const answers of [[], [debit], [debit, credit, credit]]) {
      const outcome = world({ evaluate: () => answers }).decide(questionOf({ bound }))
      assert.ok(!(outcome instanceof Promise) && 'refusal' in outcome)
      assert.equal(outcome.refusal, 'engine_unavailable')
    }
  })
})

describe('an allow with obligations', () => {
  it('is a deny, as nothing fulfils them', () => {
    const { now } = world({ evaluate: () => [{ ...allow, obligations: [{ id: 'log' }] }] })
    const { decision, errors, grant } = now()
    assert.deepEqual([decision, errors.length, grant], ['deny', 1, undefined])
  })
})

describe('a store that is shared', () => {
  const shared =
    (grants: ReadonlyMap<string, Grant>): NonNullable<WorldOptions['store']> =>
    (clock, marks) => ({
      ...createMemoryStore({ clock, maxEntries: 100, maxBytes: 1_000_000, marks }),
      getShared: async (id: string) => grants.get(id),
    })

  it('is asked before the engine, and what it has is then kept here', async () => {
    const first = world()
    const { grant } = first.now()
    const kept = first.store.get(grant?.id ?? '')
    assert.ok(kept !== undefined)
    const second = world({ store: shared(new Map([[kept.id, kept]])), feed: first.feed })
    assert.deepEqual(await second.decide(questionOf()), { ...kept.decision, source: 'grant-shared' })
    assert.equal(second.now().source, 'grant')
    assert.equal(second.asked(), 0)
  })

  it('is waited for no longer than the one request may that may least, whoever asked first', async () => {
    const never = new Promise<undefined>(() => undefined)
    const { decide, asked } = world({
      store: (clock, marks) => ({
        ...createMemoryStore({ clock, maxEntries: 100, maxBytes: 1_000_000, marks }),
        getShared: () => never,
        sharedTimeoutMs: 60_000,
      }),
    })
    const first = decide(questionOf())
    const patient = decide(questionOf())
    const impatient = questionOf()
    const wait = sharedWaitOf(impatient.signal)
    wait.begin(0)
    wait.end(60_000_000)
    const decisions = await Promise.all([first, patient, decide(impatient)])
    assert.deepEqual(
      decisions.map((decision) => 'source' in decision && decision.source),
      ['engine', 'engine', 'engine'],
    )
    assert.equal(asked(), 1)
  })

  it('does not decide by a grant that has ended', async () => {
    const first = world()
    const kept = first.store.get(first.now().grant?.id ?? '')
    assert.ok(kept !== undefined)
    const second = world({ store: shared(new Map([[kept.id, kept]])), feed: first.feed })
    second.clock.pass(15_000)
    const decision = await second.decide(questionOf())
    assert.ok('source' in decision && decision.source === 'engine')
  })
})
