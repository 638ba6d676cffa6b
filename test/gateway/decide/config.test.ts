import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { grantsConfig, resolveRouteGrant, routeGrantField } from '../../../src/gateway/decide/config.ts'
import { settings } from './engines/cedar-world.ts'

describe('grants', () => {
  const schema = grantsConfig(settings)

  it('are kept in memory for 30 s, and denials not at all, unless it is said otherwise', () => {
    assert.deepEqual(schema.parse({}), {
      store: 'memory',
      redis: { keyPrefix: 'sallyport', commandTimeout: 50 },
      ttl: 30_000,
      denyTtl: 0,
      maxEntries: 100_000,
      maxBytes: 67_108_864,
    })
  })

  it('are shared by a Redis, whose URL holds no password', () => {
    assert.equal(schema.safeParse({ store: 'redis://127.0.0.1:6379/0' }).success, true)
    const { error } = schema.safeParse({ store: 'redis://user:secret@127.0.0.1:6379/0' })
    assert.deepEqual(
      error?.issues.map(({ path }) => path.join('.')),
      ['store'],
    )
    assert.ok(!JSON.stringify(error?.issues.map(({ message }) => message)).includes('secret'))
  })

  it('have no other keys, and no bounds that keep nothing', () => {
    assert.equal(schema.safeParse({ tll: '15s' }).success, false)
    assert.equal(schema.safeParse({ maxEntries: 0 }).success, false)
    assert.equal(schema.safeParse({ maxBytes: 1 }).success, false)
  })
})

describe("a route's grant", () => {
  const grants = { ttl: 30_000, denyTtl: 1_000 }
  const resolve = (value: unknown) => resolveRouteGrant(routeGrantField(settings).parse(value), grants)

  it('is what grants say, but for what the route says', () => {
    assert.deepEqual(resolve(undefined), { ttlMs: 30_000, denyTtlMs: 1_000, quantiseMs: null })
    assert.deepEqual(resolve({}), { ttlMs: 30_000, denyTtlMs: 1_000, quantiseMs: null })
    assert.deepEqual(resolve({ ttl: '15s' }), { ttlMs: 15_000, denyTtlMs: 1_000, quantiseMs: null })
    assert.deepEqual(resolve({ denyTtl: '0s', quantise: '60s' }), {
      ttlMs: 30_000,
      denyTtlMs: 0,
      quantiseMs: 60_000,
    })
  })

  it('is none when the route says none', () => {
    assert.equal(resolve('none'), null)
  })

  it('is nothing else', () => {
    for (const value of ['off', null, { tll: '15s' }, '15s']) {
      assert.equal(routeGrantField(settings).safeParse(value).success, false)
    }
  })
})
