import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { ADMIN_ENV, ADMIN_YAML, askPort } from '../admin/admin-world.ts'
import { startRawBackend } from '../support/backend.ts'
import { layOut, startGatewayProcess, startInDirectory, type TestGateway } from '../support/gateway.ts'
import { rawRequest } from '../support/raw-http.ts'
import { type RedisServer, startRedis, withoutRedis } from '../support/redis-server.ts'
import { buildCity, type City, HOST } from './city.ts'

interface Replica {
  readonly gateway: TestGateway
  /** The status that alice gets for an account. */
  readonly visit: (path?: string) => Promise<number>
  readonly sources: () => readonly string[]
  readonly ask: (path: string, ask?: Parameters<typeof askPort>[2]) => ReturnType<typeof askPort>
}

interface World {
  readonly redis: RedisServer
  readonly replicas: readonly Replica[]
}

const signingKey = (): string =>
  JSON.stringify(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }))

const layOutFor = async (redis: RedisServer, upstream: string, grants = ''): Promise<City> =>
  buildCity({
    upstream,
    settings: {
      admin: ADMIN_YAML,
      grants: `{ store: "${redis.url}", ttl: 60s, redis: { commandTimeout: 2s }${grants} }`,
      revocation: '{ maxStale: 3s }',
      assertion: '{ keyFile: assertion.jwk }',
    },
  })

const startWorld = async (t: TestContext, count: number, args: readonly string[] = []): Promise<World> => {
  const redis = await startRedis(args)
  t.after(redis.close)
  const backend = await startRawBackend()
  t.after(backend.close)
  const city = await layOutFor(redis, backend.url)
  const key = signingKey()
  const replicas: Replica[] = []
  for (let index = 0; index < count; index += 1) {
    const directory = layOut(city.world)
    writeFileSync(join(directory, 'config', 'assertion.jwk'), key)
    const gateway = await startInDirectory(directory, { env: { ...city.env, ...ADMIN_ENV }, watch: null })
    t.after(gateway.close)
    const token = city.credentials.tokens.get('alice') ?? ''
    replicas.push({
      gateway,
      visit: async (path = '/accounts/1') => {
        const head = `GET ${path} HTTP/1.1\r\nHost: ${HOST}\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`
        return (await rawRequest(gateway.port, head)).status
      },
      sources: () => gateway.records().map(({ source }) => source),
      ask: (path, ask) => askPort(gateway.admin ?? '', path, ask),
    })
  }
  // On an empty Redis that takes one maxStale.
  for (const { ask } of replicas)
    await until(async () => (await ask('/readyz', { token: null })).status === 200)
  return { redis, replicas }
}

/** Waits until it is so; the deadline is that of the test. */
const until = async (isSo: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await isSo())) await wait(10)
}

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
    const directory = layOut(city.world)
    writeFileSync(join(directory, 'config', 'assertion.jwk'), signingKey())
    await assert.rejects(
      startGatewayProcess(directory, { env: { ...city.env, ...ADMIN_ENV } }),
      /ended with 2.*maxmemory-policy/s,
    )
  })
})
