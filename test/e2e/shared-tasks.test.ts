import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { withoutRedis } from '../support/redis-server.ts'
import { HOST } from './city.ts'
import { type Replica, startWorld, until, type World } from './shared-world.ts'

const ROUTES = `defaults: { host: ${HOST}, upstream: core, engine: city, authenticate: [staff] }
routes:
  - name: account
    match: GET /accounts/{id}
    evaluation: { action: read, resource: { type: Account, id: $path.id } }
    task: { required: true }
  - name: quick
    match: GET /quick/{id}
    evaluation: { action: read, resource: { type: Account, id: $path.id } }
    task: { required: true, maxLife: 1s }
`

interface Tasked extends World {
  readonly a: Replica
  readonly b: Replica
  readonly ask: (at: Replica, sub: string, task: string, path?: string) => Promise<number>
}

const startTasked = async (t: TestContext, redis?: string): Promise<Tasked> => {
  const files = { 'config/routes/city.yaml': ROUTES }
  const world = await startWorld(t, 2, { files, ...(redis === undefined ? {} : { redis }) })
  const [a, b] = world.replicas
  assert.ok(a !== undefined && b !== undefined)
  const ask: Tasked['ask'] = (at, sub, task, path = '/accounts/1') => {
    const token = world.city.credentials.tokens.get(sub)
    return at.request(path, [`Authorization: Bearer ${token}`, `Sallyport-Task: ${task}`])
  }
  return { ...world, a, b, ask }
}

describe('gateways that share a Redis', { skip: withoutRedis, timeout: 60_000 }, () => {
  test('know whose a task is that began at another one, and that it is completed', async (t) => {
    const { a, b, ask } = await startTasked(t)
    assert.equal(await ask(a, 'alice', 't1'), 200)
    assert.equal(await ask(b, 'carol', 't1'), 403)
    assert.equal(b.gateway.records().at(-1)?.source, 'bind')
    assert.equal(await ask(b, 'alice', 't1'), 200)
    assert.equal(await ask(b, 'carol', 't2'), 200)
    assert.equal(await ask(a, 'alice', 't2'), 403)
    assert.equal((await b.ask('/v1/tasks/t1/complete', { method: 'POST' })).status, 200)
    assert.equal(await ask(a, 'alice', 't1'), 403)
    assert.equal(await ask(a, 'carol', 't2'), 200)
  })

  test('count the life of a task from its first request at any of them', async (t) => {
    const { a, b, ask } = await startTasked(t)
    assert.equal(await ask(a, 'alice', 't1'), 200)
    await until(async () => (await ask(a, 'alice', 't1', '/quick/1')) === 403)
    assert.equal(await ask(b, 'alice', 't1', '/quick/1'), 403)
    assert.equal(await ask(b, 'alice', 't1'), 200)
  })

  test('let a subject have no more tasks under way for beginning many of them at once', async (t) => {
    const { a, ask, redis } = await startTasked(t, '{ commandTimeout: 5s }')
    const inFlight = async (): Promise<number> =>
      Number(/^sallyport_requests_in_flight (\d+)$/m.exec((await a.ask('/metrics')).text)?.[1])
    redis.freeze()
    const asked = Array.from({ length: 150 }, (_, at) => ask(a, 'alice', `m${at}`))
    await until(async () => (await inFlight()) >= 150)
    redis.thaw()
    const statuses = await Promise.all(asked)
    assert.equal(statuses.filter((status) => status === 200).length, 100)
    assert.equal(statuses.filter((status) => status === 429).length, 50)
    assert.equal(await ask(a, 'carol', 'another'), 200)
  })

  test('begin no task while nobody can tell whose it is, and go on with those that they know', async (t) => {
    const { a, ask, redis } = await startTasked(t)
    assert.equal(await ask(a, 'alice', 't1'), 200)
    redis.freeze()
    assert.equal(await ask(a, 'alice', 't1', '/accounts/2'), 200)
    assert.equal(await ask(a, 'alice', 't2'), 503)
    assert.equal(a.gateway.records().at(-1)?.code, 'revocation_unavailable')
    redis.thaw()
    await until(async () => (await ask(a, 'alice', 't3')) === 200)
  })

  test('believe nobody who writes into the Redis that a task is his', async (t) => {
    const { a, b, ask, redis } = await startTasked(t)
    assert.equal(await ask(a, 'alice', 't1'), 200)
    const [key = ''] = await redis.admin.keys('sallyport:1:t:*')
    const value = (await redis.admin.get(key)) ?? ''
    await redis.admin.set(key, value.replace('alice', 'carol'), 'PX', 60_000)
    assert.equal(await ask(b, 'carol', 't1'), 503)
  })
})
