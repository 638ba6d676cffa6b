import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isRefusal } from '../../../src/core/refusals.ts'
import { createBind } from '../../../src/gateway/bind/bind.ts'
import type { MappingPlan } from '../../../src/gateway/bind/plan.ts'
import { acceptedOf, bindOne, contextPlan, identityOf, NOW_MS, planOf, type Sent } from './binding.ts'

/** Binds one request after the other by one configuration. */
const binder = (plan: MappingPlan) => {
  let nowMs = NOW_MS
  const bind = createBind({ plans: [plan], clock: { nowMs: () => nowMs, monotonicUs: () => 0 } })
  return (sent: Sent, identity = identityOf(sent)) => {
    nowMs = sent.nowMs ?? NOW_MS
    const bound = bind(acceptedOf(sent), identity, sent.body === undefined ? null : Buffer.from(sent.body))
    assert.ok(!isRefusal(bound))
    return bound
  }
}

const byPath = planOf({
  evaluation: {
    subject: { properties: { level: '$claims.?level.orValue(0)' } },
    action: 'read',
    resource: { type: 'Account', id: '$path.accountId' },
    context: { route: '$route.name', credential: '$credential.id', path: '$request.path' },
  },
  headers: { 'X-Remote-User': '$subject.id' },
})

describe('a request that asks what was asked before', () => {
  it('is the same object, where nothing but the path, the route and the caller is read', () => {
    const bind = binder(byPath)
    const alice = identityOf({})
    bind({}, alice)
    const first = bind({}, alice)
    assert.equal(bind({ headers: ['X-Other', '1'], nowMs: NOW_MS + 60_000 }, alice), first)
    assert.notEqual(bind({ path: '/accounts/43', captures: { accountId: '43' } }, alice), first)
    assert.notEqual(bind({ query: '?a' }, alice), first, 'the target is what is forwarded')
  })

  it('is kept only when it is asked again, as most of what is asked once is not', () => {
    const bind = binder(byPath)
    const alice = identityOf({})
    assert.deepEqual(
      [bind({}, alice), bind({}, alice), bind({}, alice)].map(({ isKept }) => isKept),
      [undefined, true, true],
    )
  })

  it('is another one for a credential that was verified anew, even if it is the very same', () => {
    const bind = binder(byPath)
    const [before, after] = [identityOf({ claims: { level: 1 } }), identityOf({ claims: { level: 2 } })]
    bind({}, before)
    const first = bind({}, before)
    const second = bind({}, after)
    assert.deepEqual(
      [first, second].map(({ accessRequests: [asked] }) => asked?.subject.properties),
      [{ level: 1 }, { level: 2 }],
    )
    assert.notEqual(bind({}, before), second)
  })

  for (const reads of [
    '$request.time',
    '$request.id',
    '$request.ip',
    '$request.host',
    '$request.method',
    '$request.scheme',
    '$request.headers["x-tenant"]',
    '$request.query.a',
    '$credential.ageSeconds',
    '$body.a',
  ]) {
    it(`is made anew where ${reads} is read`, () => {
      const bind = binder(contextPlan(reads))
      const sent: Sent = {
        ...(reads === '$body.a' ? { body: '{"a":"1"}' } : {}),
        query: '?a=1',
        headers: ['X-Tenant', 'a'],
      }
      const alice = identityOf({})
      bind(sent, alice)
      assert.notEqual(bind(sent, alice), bind(sent, alice))
    })
  }

  it('gives what it would give if nothing had been asked before', () => {
    const plans = [byPath, contextPlan('$request.headers["x-tenant"]'), contextPlan('$claims.level')]
    const callers = [identityOf({ claims: { level: 1 } }), identityOf({ claims: { level: 2 } })]
    const sent = fc.record({
      plan: fc.nat(plans.length - 1),
      caller: fc.nat(callers.length - 1),
      id: fc.constantFrom('1', '2', '3'),
      tenant: fc.constantFrom('a', 'b'),
      query: fc.constantFrom('', '?a=1'),
    })
    fc.assert(
      fc.property(fc.array(sent, { maxLength: 40 }), (all) => {
        const binders = plans.map(binder)
        for (const { plan: number, caller, id, tenant, query } of all) {
          const identity = callers[caller] ?? null
          const request = {
            path: `/accounts/${id}`,
            captures: { accountId: id },
            headers: ['X-Tenant', tenant],
            query,
          }
          const fresh = bindOne(plans[number] ?? byPath, { ...request, identity })
          const { isKept: _isKept, ...bound } = binders[number]?.(request, identity) ?? assert.fail()
          assert.deepEqual(bound, fresh)
        }
      }),
    )
  })
})
