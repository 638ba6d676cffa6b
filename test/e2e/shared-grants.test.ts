import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { layOut, startGatewayProcess } from '../support/gateway.ts'
import { startRedis, withoutRedis } from '../support/redis-server.ts'
import { layOutFor, startWorld, until } from './shared-world.ts'

describe('gateways that share a Redis', { skip: withoutRedis, timeout: 60_000 }, () => {
  test('decide by a grant that another one made, and not after a mark that was published at the other', async (t) => {
    const { replicas, redis } = await startWorld(t, 2)
    const [a, b] = replicas
    assert.ok(a !== undefined && b !== undefined)
    assert.equal(await a.visit(), 200)
    await until(async () => (await redis.admin.keys('sallyport:1:g:*')).length === 1)
    assert.equal(await b.visit(), 200)
    assert.equal(await b.visit(), 200)
    assert.deepEqual([...a.sources(), ...b.sources()], ['engine', 'grant-shared', 'grant'])
    const body = { subject: 'User::alice', effect: 'grants', reason: 'moved' }
    const revoked = await a.ask('/v1/revocations', { method: 'POST', body })
    assert.equal(revoked.status, 201, revoked.text)
    assert.deepEqual(revoked.json?.replicas, { known: 2, applied: 2 })
    assert.equal(await b.visit(), 200)
    assert.equal(b.sources().at(-1), 'engine')
  })

  test('list what another one made and they would find in Redis, until a mark voids it', async (t) => {
    const { replicas, redis } = await startWorld(t, 2)
    const [a, b] = replicas
    assert.ok(a !== undefined && b !== undefined)
    assert.equal(await a.visit('/accounts/1'), 200)
    assert.equal(await a.visit('/accounts/2'), 200)
    await until(async () => (await redis.admin.keys('sallyport:1:i:*')).length === 3)
    const list = async (query: string) => {
      const { json } = await b.ask(`/v1/grants${query}`)
      const grants = json?.grants as readonly Readonly<Record<string, unknown>>[]
      return { total: json?.total, shared: json?.shared, sources: grants.map(({ source }) => source), grants }
    }
    const none = { total: 0, sources: [], grants: [] }
    assert.deepEqual(await list(''), { ...none, shared: 'needs_filter' })
    assert.deepEqual(await list('?subject=User::bob'), { ...none, shared: 'listed' })
    await until(async () => (await list('?subject=User::alice')).total === 2)
    const both = await list('?subject=User::alice&limit=1')
    assert.deepEqual([both.total, both.sources], [2, ['grant-shared']])
    assert.equal(await b.visit('/accounts/2'), 200)
    assert.deepEqual((await list('?subject=User::alice')).sources, ['grant', 'grant-shared'])
    const one = await list('?resource=Account::1')
    assert.deepEqual([one.total, one.sources], [1, ['grant-shared']])
    const id = String(one.grants[0]?.id)
    assert.equal((await list(`?grant=${id}`)).total, 1)
    const revoked = await a.ask('/v1/revocations', { method: 'POST', body: { grant: id } })
    assert.equal(revoked.status, 201, revoked.text)
    assert.deepEqual(await list(`?grant=${id}`), { ...none, shared: 'listed' })
    redis.freeze()
    const { sources, shared } = await list('?subject=User::alice')
    assert.deepEqual([shared, sources], ['unavailable', ['grant']])
    redis.thaw()
  })

  test('refuse on each what was authenticated before a mark, and tell it in the record of one', async (t) => {
    const { replicas } = await startWorld(t, 2)
    const [a, b] = replicas
    assert.ok(a !== undefined && b !== undefined)
    assert.equal(await b.visit(), 200)
    const body = { subject: 'User::alice', effect: 'credentials', reason: 'stolen' }
    const revoked = await a.ask('/v1/revocations', { method: 'POST', body })
    assert.deepEqual([await a.visit(), await b.visit()], [401, 401])
    const codes = [...a.gateway.records(), ...b.gateway.records()].map(({ code }) => code)
    assert.equal(codes.filter((code) => code === 'revoked').length, 1)
    const withdrawn = await b.ask(`/v1/revocations/${revoked.json?.id}`, { method: 'DELETE' })
    assert.equal(withdrawn.status, 200, withdrawn.text)
    await until(async () => (await a.visit()) === 200 && (await b.visit()) === 200)
  })

  test('take no grant that somebody without their key wrote or changed', async (t) => {
    const { replicas, redis } = await startWorld(t, 2)
    const [a, b] = replicas
    assert.ok(a !== undefined && b !== undefined)
    await a.visit()
    await until(async () => (await redis.admin.keys('sallyport:1:g:*')).length === 1)
    const [key = ''] = await redis.admin.keys('sallyport:1:g:*')
    const value = (await redis.admin.get(key)) ?? ''
    await redis.admin.set(key, value.replace('User::alice', 'User::mallory'), 'PX', 60_000)
    assert.equal(await b.visit(), 200)
    assert.deepEqual(b.sources(), ['engine'])
  })

  test('go on by their engine when Redis is frozen or gone, say so, and come back', async (t) => {
    const { replicas, redis } = await startWorld(t, 1)
    const [a] = replicas
    assert.ok(a !== undefined)
    await a.visit()
    redis.freeze()
    assert.equal(await a.visit(), 200)
    assert.equal(a.sources().at(-1), 'grant')
    await until(async () => (await a.ask('/readyz', { token: null })).json?.revocation === 'stale')
    assert.equal(await a.visit(), 200)
    assert.equal(a.sources().at(-1), 'engine')
    assert.match((await a.ask('/metrics', { token: null })).text, /^sallyport_revocation_feed_fresh 0$/m)
    redis.thaw()
    await until(async () => (await a.ask('/readyz', { token: null })).json?.revocation === 'fresh')
    await redis.kill()
    await until(async () => (await a.ask('/readyz', { token: null })).json?.revocation === 'stale')
    assert.equal(await a.visit('/accounts/2'), 200)
    await redis.restart()
    await until(async () => (await a.ask('/readyz', { token: null })).json?.revocation === 'fresh')
    await a.visit()
    assert.equal(await a.visit(), 200)
    assert.equal(a.sources().at(-1), 'grant')
  })

  test('do not start on a Redis that may evict the feed', async (t) => {
    const redis = await startRedis(['--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru'])
    t.after(redis.close)
    const city = await layOutFor(redis, 'http://127.0.0.1:1')
    await assert.rejects(
      startGatewayProcess(layOut(city.world), { env: city.env }),
      /ended with 2.*maxmemory-policy/s,
    )
  })
})
