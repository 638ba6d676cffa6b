import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { type RedisRelay, startRelay } from '../support/redis-relay.ts'
import { withoutRedis } from '../support/redis-server.ts'
import { type Replica, type SharedOptions, startWorld, until, type World } from './shared-world.ts'

const PASSWORD = 'the-password-of-the-gateways-7hW'

/** Two gateways, the first of which reaches the Redis by a relay, with the deadlines that users have. */
const startRelayed = async (
  t: TestContext,
  options: SharedOptions = {},
): Promise<World & { readonly a: Replica; readonly b: Replica; readonly relay: RedisRelay }> => {
  const relays: RedisRelay[] = []
  const world = await startWorld(t, 2, {
    redis: '{}',
    ...options,
    store: async ({ port, url }, index) => {
      if (index > 0) return url
      const relay = await startRelay(t, port)
      relays.push(relay)
      return relay.url
    },
  })
  const [a, b] = world.replicas
  const [relay] = relays
  assert.ok(a !== undefined && b !== undefined && relay !== undefined)
  return { ...world, a, b, relay }
}

const freshnessOf = async ({ ask }: Replica): Promise<unknown> =>
  (await ask('/readyz', { token: null })).json?.revocation

const becomes = (replica: Replica, freshness: string): Promise<void> =>
  until(async () => (await freshnessOf(replica)) === freshness)

const revoke = async ({ ask }: Replica, mark: object): Promise<void> => {
  const revoked = await ask('/v1/revocations', { method: 'POST', body: { reason: 'why', ...mark } })
  assert.equal(revoked.status, 201, revoked.text)
}

/** Until a grant serves: the gateway is well again. */
const servesByGrant = (replica: Replica): Promise<void> =>
  until(async () => {
    assert.equal(await replica.visit(), 200)
    return replica.sources().at(-1) === 'grant'
  })

describe('a Redis that is badly reached', { skip: withoutRedis, timeout: 60_000 }, () => {
  test('whose answers never come keeps nobody waiting, and what was held comes to nothing', async (t) => {
    const { a, relay } = await startRelayed(t, { settings: { revocation: '{ maxStale: 1s }' } })
    assert.equal(await a.visit('/accounts/1'), 200)
    relay.hold()
    // Who waited for an answer would wait for ever.
    for (const id of ['2', '3', '4', '5']) assert.equal(await a.visit(`/accounts/${id}`), 200)
    assert.ok(!a.sources().includes('grant-shared'))
    await becomes(a, 'stale')
    assert.equal(await a.visit('/accounts/1'), 200)
    assert.equal(a.sources().at(-1), 'engine')
    assert.equal((await a.ask('/readyz', { token: null })).status, 200)
    relay.restore()
    await becomes(a, 'fresh')
    await servesByGrant(a)
  })

  test('whose answers come after the deadline is gone on without, and a late answer is nobody else’s', async (t) => {
    const { a, b, relay } = await startRelayed(t)
    for (const id of ['1', '2', 'secret']) await b.visit(`/accounts/${id}`)
    relay.delay(150)
    assert.equal(await a.visit('/accounts/1'), 200)
    assert.equal(await a.visit('/accounts/secret'), 403)
    assert.equal(await a.visit('/accounts/2'), 200)
    assert.deepEqual(a.sources(), ['engine', 'engine', 'engine'])
    relay.delay(0)
    await until(async () => {
      const path = `/accounts/${a.sources().length}`
      assert.deepEqual([await b.visit(path), await a.visit(path)], [200, 200])
      return a.sources().at(-1) === 'grant-shared'
    })
  })

  test('that comes and goes lets nobody in on a grant that is void, and is used again by itself', async (t) => {
    const { a, b, relay } = await startRelayed(t, { settings: { revocation: '{ maxStale: 500ms }' } })
    for (let time = 0; time < 4; time += 1) {
      await servesByGrant(a)
      relay.cut()
      await revoke(b, { subject: 'User::alice' })
      await becomes(a, 'stale')
      assert.equal(await a.visit(), 200)
      assert.equal(a.sources().at(-1), 'engine')
      const before = a.sources().length
      relay.restore()
      await becomes(a, 'fresh')
      assert.equal(await a.visit(), 200)
      assert.deepEqual(a.sources().slice(before), ['engine'])
    }
    const statuses: number[] = []
    const isOver = new AbortController()
    const visits = (async () => {
      while (!isOver.signal.aborted) statuses.push(await a.visit())
    })()
    for (let time = 0; time < 20; time += 1) {
      if (time % 2 === 0) relay.cut()
      else relay.restore()
      await wait(40)
    }
    await revoke(b, { subject: 'User::alice', effect: 'credentials' })
    await until(() => statuses.at(-1) === 401)
    isOver.abort()
    await visits
    const first = statuses.indexOf(401)
    assert.ok(statuses.every((status, index) => status === (index < first ? 200 : 401)))
    await becomes(a, 'fresh')
  })

  test('is named by its address to whoever cannot revoke for it, and by nothing that lets anybody in', async (t) => {
    const { a, relay } = await startRelayed(t, {
      args: ['--requirepass', PASSWORD],
      redis: '{ password: { env: REDIS_PASSWORD } }',
      env: { REDIS_PASSWORD: PASSWORD },
    })
    relay.cut()
    await becomes(a, 'stale')
    const body = { subject: 'User::alice', reason: 'why' }
    const refused = await a.ask('/v1/revocations', { method: 'POST', body })
    assert.equal(refused.status, 503)
    const { detail } = refused.json ?? {}
    assert.ok(String(detail).includes(`127.0.0.1:${relay.port}`), String(detail))
    assert.ok(!refused.text.includes(PASSWORD))
  })

  test('for longer than failClosedAfter lets in only those whom no mark could cover, and all when it is back', async (t) => {
    const { a, relay } = await startRelayed(t, {
      settings: { revocation: '{ maxStale: 500ms, failClosedAfter: 2s }' },
    })
    await until(async () => (await a.visit()) === 200)
    relay.cut()
    await until(async () => (await a.visit()) === 503)
    assert.equal(a.gateway.records().at(-1)?.code, 'revocation_unavailable')
    assert.equal(await freshnessOf(a), 'lost')
    assert.equal((await a.ask('/readyz', { token: null })).status, 200)
    assert.equal(await a.request('/health', []), 200)
    relay.restore()
    await until(async () => (await a.visit()) === 200)
    await servesByGrant(a)
  })
})
