import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { systemClock } from '../../../../src/core/clock.ts'
import { createSharedWait } from '../../../../src/core/shared-wait.ts'
import { createRedisLink, type RedisLink } from '../../../../src/gateway/decide/redis/link.ts'
import type { RedisSettings } from '../../../../src/gateway/decide/redis/settings.ts'
import { startFakeSentinel } from '../../../support/fake-sentinel.ts'
import { type RedisRelay, startRelay } from '../../../support/redis-relay.ts'
import { freePort, type RedisServer, startRedis, withoutRedis } from '../../../support/redis-server.ts'
import { eventually } from '../../../support/server-process.ts'
import { linkTo, NO_LOG, passwordOf, settingsOf } from '../revocations/redis-world.ts'

const TIMEOUT_MS = 300

const startRelayed = async (
  t: TestContext,
): Promise<{ readonly redis: RedisServer; readonly relay: RedisRelay; readonly link: RedisLink }> => {
  const redis = await startRedis()
  t.after(redis.close)
  const relay = await startRelay(t, redis.port)
  return { redis, relay, link: await linkTo(t, relay.port, TIMEOUT_MS) }
}

const codeOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'answered',
    (error: unknown) => (error instanceof Error ? Reflect.get(error, 'code') : error),
  )

describe('a connection to a Redis', { skip: withoutRedis, timeout: 60_000 }, () => {
  test('has one deadline for all commands of a request, and sends none when that is over', async (t) => {
    const { redis, relay, link } = await startRelayed(t)
    const wait = createSharedWait()
    const one = link.within(wait)
    assert.equal(await one.call('SET', 'first', '1'), 'OK')
    relay.delay(60_000)
    assert.equal(await codeOf(one.call('SET', 'second', '1')), 'REDIS_TIMEOUT')
    assert.equal(wait.leftMs(TIMEOUT_MS, systemClock.monotonicUs()), 0)
    assert.equal(await codeOf(one.call('SET', 'third', '1')), 'REDIS_WAIT_OVER')
    assert.equal(await codeOf(link.within(wait).batch([['SET', 'third', '1']])), 'REDIS_WAIT_OVER')
    // Of others nothing is over.
    assert.equal(await codeOf(link.within(createSharedWait()).call('SET', 'fourth', '1')), 'REDIS_TIMEOUT')
    assert.equal(await codeOf(link.within(undefined).call('SET', 'fifth', '1')), 'REDIS_TIMEOUT')
    const there = await redis.admin.exists('first', 'second', 'fourth', 'fifth')
    assert.deepEqual([there, await redis.admin.exists('third')], [4, 0])
  })

  test('counts what a request has waited for by other connections, and for answers that came', async (t) => {
    const { redis, relay, link } = await startRelayed(t)
    const other = await linkTo(t, redis.port, TIMEOUT_MS)
    const wait = createSharedWait()
    relay.delay(TIMEOUT_MS / 3)
    const answers: unknown[] = []
    for (let time = 0; time < 4; time += 1) answers.push(await codeOf(link.within(wait).call('PING')))
    assert.equal(answers.at(-1), 'REDIS_WAIT_OVER')
    assert.equal(await codeOf(other.within(wait).call('PING')), 'REDIS_WAIT_OVER')
    assert.equal(await codeOf(other.call('PING')), 'answered')
  })

  test('never waits longer for a frozen server than is left', async (t) => {
    const { redis } = await startRelayed(t)
    const link = await linkTo(t, redis.port, 60_000)
    const wait = createSharedWait()
    wait.begin(0)
    wait.end(59_990_000)
    redis.freeze()
    // With a whole deadline the test would be over before.
    assert.equal(await codeOf(link.within(wait).call('PING')), 'REDIS_TIMEOUT')
    redis.thaw()
  })

  test('comes back where a failover is told just as the Sentinels are asked for the primary', async (t) => {
    const redis = await startRedis()
    t.after(redis.close)
    const sentinel = await startFakeSentinel(t, redis.port)
    const place: RedisSettings['place'] = {
      kind: 'sentinel',
      name: 'gate',
      nodes: [{ host: '127.0.0.1', port: sentinel.port }],
      db: 0,
    }
    const link = await linkTo(t, 0, 1_000, { place })
    const answers = async (): Promise<boolean> => (await codeOf(link.call('PING'))) === 'answered'
    await eventually('it is connected', answers)
    const asked = sentinel.hold()
    await redis.kill()
    await asked
    sentinel.tellFailover()
    // What is told arrives before the answer, on another connection.
    await eventually('nobody listens any more', () => sentinel.listeners() === 0)
    await redis.restart()
    sentinel.answer()
    await eventually('it is connected again', answers)
  })

  test('says in our words why there is no answer, and nothing of how to get in', async (t) => {
    const port = await freePort()
    const more: Partial<RedisSettings> = { username: 'gate', password: passwordOf('not-to-be-told') }
    const link = createRedisLink(settingsOf(port, more), {
      ...{ timeoutMs: TIMEOUT_MS, name: 'test', log: NO_LOG },
      clock: systemClock,
    })
    t.after(link.close)
    const error: unknown = await link.call('GET', 'what-was-asked').catch((failure: unknown) => failure)
    assert.ok(error instanceof Error)
    assert.equal(Reflect.get(error, 'code'), 'REDIS_UNREACHABLE')
    assert.ok(error.message.includes(`127.0.0.1:${port}`), error.message)
    assert.deepEqual(Object.keys(error), ['code'])
    for (const kept of ['not-to-be-told', 'what-was-asked', 'gate']) assert.ok(!error.message.includes(kept))
    const redis = await startRedis()
    t.after(redis.close)
    const there = await linkTo(t, redis.port)
    assert.equal(await codeOf(there.call('HGET', 'too-few')), 'REDIS_REFUSED')
  })
})
