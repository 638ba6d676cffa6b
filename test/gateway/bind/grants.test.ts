import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { boundOf, contextPlan, mapped, NOW_MS, plain, planOf } from './binding.ts'

describe('whether an answer can be kept', () => {
  it('is yes for what stays the same', () => {
    for (const expression of ['$request.ip', '$credential.issuedAt', '$claims', '$route.name', '$body.x']) {
      assert.equal(contextPlan(expression).cacheable, true, expression)
    }
  })

  it('is no for what changes with every request', () => {
    for (const expression of [
      '$request.id',
      '$request.time',
      '$credential.ageSeconds < 60',
      '$has(credential.ageSeconds)',
    ]) {
      const plan = contextPlan(expression)
      assert.equal(plan.cacheable, false, expression)
      assert.equal(boundOf(plan).cacheable, false, expression)
      assert.equal(plan.volatileReads.length, 1)
    }
  })

  it('is yes once that is quantised, but never for the request id', () => {
    const quantiseMs = 60_000
    assert.equal(contextPlan('$request.time', { quantiseMs }).cacheable, true)
    assert.equal(contextPlan('$credential.ageSeconds', { quantiseMs }).cacheable, true)
    assert.equal(contextPlan('$request.id', { quantiseMs }).cacheable, false)
  })

  it('does not depend on headers, which are made for every request', () => {
    assert.equal(planOf({ headers: { 'X-Id': '$request.id' } }).cacheable, true)
  })
})

describe('quantised values', () => {
  const quantiseMs = 60_000
  const floored = Math.floor(NOW_MS / quantiseMs) * quantiseMs

  it('are floored, read directly or computed, and recorded so', () => {
    const more = { quantiseMs }
    assert.equal(mapped('$request.time', {}, more), new Date(floored).toISOString())
    assert.equal(mapped('$credential.ageSeconds', {}, more), 60)
    assert.equal(mapped('$credential.ageSeconds + 1', {}, more), 61)
    const { inputs } = boundOf(contextPlan('$credential.ageSeconds + 1', more))
    assert.deepEqual(plain(inputs), { 'credential.ageSeconds': 60 })
  })

  it('are the same all through a step', () => {
    const plan = contextPlan('$request.time', { quantiseMs })
    const at = (nowMs: number) => boundOf(plan, { nowMs }).accessRequests[0]?.context.value
    assert.equal(at(floored), at(floored + quantiseMs - 1))
    assert.notEqual(at(floored), at(floored + quantiseMs))
  })

  it('are never negative when the issuer is ahead', () => {
    assert.equal(mapped('$credential.ageSeconds', { nowMs: NOW_MS - 1_000_000 }), 0)
  })
})

describe('the hash of a mapping', () => {
  const hash = (value: string, headers = { 'X-A': '1' }): string =>
    contextPlan(value, { headers }).mappingHash

  it('is the same for the same mapping, and another for every other one', () => {
    assert.equal(hash('$claims.a'), hash('$claims.a'))
    const hashes = [
      hash('$claims.a'),
      hash('$claims.b'),
      hash('$$claims.a'),
      hash('$claims.a', { 'X-A': '2' }),
    ]
    assert.equal(new Set(hashes).size, hashes.length)
  })
})

describe('the inputs of a record', () => {
  it('are what the expressions read, each once, and nothing else', () => {
    const plan = planOf({
      evaluation: {
        action: '$request.method',
        resource: { type: 'A', id: '$path.accountId' },
        context: {
          a: "$claims.?amr.orValue([]).exists(m, m == 'mfa') && path.accountId != ''",
          b: '$claims["https://x.example/role"]',
          c: '$request.headers["x-tenant"]',
          d: '$request.query.?page',
          e: '$body.items.map(i, i.price)',
        },
      },
      headers: { 'X-User': '$subject.id' },
      rewrite: "$'/x/' + path.accountId",
    })
    const { inputs } = boundOf(plan, {
      claims: { amr: ['mfa'], 'https://x.example/role': 'r', sub: 's' },
      headers: ['X-Tenant', 't', 'Authorization', 'Bearer x'],
      body: '{"items":[{"price":1}],"other":2}',
    })
    assert.deepEqual(plain(inputs), {
      'request.method': 'GET',
      'path.accountId': '42',
      'claims.amr': ['mfa'],
      'claims["https://x.example/role"]': 'r',
      'request.headers["x-tenant"]': 't',
      'body.items': [{ price: 1 }],
      'subject.id': 'alice',
    })
  })

  it('never hold cookies', () => {
    const plan = contextPlan("$request.headers.cookie.contains('beta=1')")
    const bound = boundOf(plan, { headers: ['Cookie', 'session=hunter2; beta=1'] })
    assert.equal(bound.accessRequests[0]?.context.value, true)
    assert.deepEqual(bound.inputs, {})
  })
})
