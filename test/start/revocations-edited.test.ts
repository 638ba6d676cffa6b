import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { createLog } from '../../src/cli/log.ts'
import { systemClock } from '../../src/core/clock.ts'
import type { RedisSettings } from '../../src/gateway/decide/redis/settings.ts'
import type { MarkDraft } from '../../src/gateway/decide/revocations/mark.ts'
import { createRevocations, type PreparedFeed } from '../../src/start/revocations.ts'
import { freePort, type RedisServer, startRedis, withoutRedis } from '../support/redis-server.ts'

const REVOCATION = {
  maxStale: 500,
  failClosedAfter: 300_000,
  markLife: 604_800_000,
  maxMarks: 1_000,
  file: undefined,
}

const redisAt = (port: number, more: Partial<RedisSettings> = {}): RedisSettings => ({
  place: { kind: 'single', host: '127.0.0.1', port, db: 0 },
  tls: null,
  keyPrefix: 'sallyport:1:',
  commandTimeoutMs: 50,
  minReplicas: 0,
  macKey: Buffer.alloc(32, 1),
  fingerprint: JSON.stringify([port, more.commandTimeoutMs]),
  ...more,
})

const ALICE = {
  subject: { type: 'User', id: 'alice' },
  credential: { type: 'jwt', authenticator: 'staff', id: 'c', digest: 'd' },
}

const begin = (t: TestContext) => {
  const revocations = createRevocations({ clock: systemClock, log: createLog('silent') })
  t.after(revocations.close)
  const recorded: string[] = []
  revocations.recordBy((what, { target }) => recorded.push(`${what} ${target}`))
  const edit = async (
    redis: RedisSettings | null,
    more: Partial<typeof REVOCATION> = {},
  ): Promise<string> => {
    const prepared: PreparedFeed | { readonly failed: string } = await revocations.prepare({
      revocation: { ...REVOCATION, ...more },
      redis,
    })
    if ('failed' in prepared) return prepared.failed
    prepared.commit()
    return 'taken'
  }
  const { feed } = revocations
  const until = async (isSo: () => boolean): Promise<void> => {
    while (!isSo()) await wait(10)
  }
  return { edit, feed, until, recorded }
}

const redisOf = async (t: TestContext): Promise<RedisServer> => {
  const redis = await startRedis()
  t.after(redis.close)
  return redis
}

describe('an edit of where the revocation feed is', { skip: withoutRedis, timeout: 60_000 }, () => {
  test('is rejected when its Redis cannot be heard, and what there is goes on', async (t) => {
    const redis = await redisOf(t)
    const { edit, feed } = begin(t)
    assert.equal(await edit(redisAt(redis.port)), 'taken')
    assert.match(await edit(redisAt(await freePort())), /cannot be heard/)
    assert.equal(feed.freshness(), 'fresh')
    assert.ok('mark' in (await feed.publish(MARK)))
  })

  test('is rejected without its Redis also where nothing was shared before', async (t) => {
    const { edit, feed } = begin(t)
    assert.equal(await edit(null), 'taken')
    assert.match(await edit(redisAt(await freePort())), /cannot be heard/)
    assert.deepEqual([feed.freshness(), feed.status().unready], ['fresh', null])
  })

  test('never makes a gateway that serves unready, on an empty Redis and back', async (t) => {
    const redis = await redisOf(t)
    const { edit, feed } = begin(t)
    assert.equal(await edit(null), 'taken')
    assert.equal(await edit(redisAt(redis.port)), 'taken')
    assert.deepEqual([feed.freshness(), feed.status().unready], ['fresh', null])
    assert.equal(await edit(null), 'taken')
    assert.deepEqual([feed.freshness(), feed.status().unready], ['fresh', null])
  })

  test('is taken while its own Redis is away: marks and staleness go over, and it is heard when it is back', async (t) => {
    const redis = await redisOf(t)
    const { edit, feed, until } = begin(t)
    assert.equal(await edit(redisAt(redis.port)), 'taken')
    await until(() => feed.status().unready === null)
    assert.ok('mark' in (await feed.publish(MARK)))
    const held = feed.position()
    await redis.kill()
    await until(() => feed.freshness() === 'stale')
    const staleMs = feed.status().staleMs
    assert.equal(await edit(redisAt(redis.port, { commandTimeoutMs: 80 })), 'taken')
    const after = feed.status()
    assert.deepEqual([after.freshness, after.unready], ['stale', null])
    assert.ok(after.staleMs > staleMs, 'an edit does not make it younger')
    assert.notEqual(feed.refuses(ALICE), undefined)
    assert.equal(feed.voids(FACTS, held), true)
    await redis.restart()
    await until(() => feed.freshness() === 'fresh')
    assert.notEqual(feed.refuses(ALICE), undefined)
    assert.equal(feed.voids(FACTS, held), true)
    assert.equal(feed.voids(FACTS, feed.position()), false)
    assert.equal(feed.list().length, 1)
  })

  test('forgets nothing that may be in the feed: it is recorded when it is seen there', async (t) => {
    const redis = await redisOf(t)
    const { edit, feed, until, recorded } = begin(t)
    assert.equal(await edit(redisAt(redis.port)), 'taken')
    redis.freeze()
    const outcome = await feed.publish(MARK)
    assert.ok('failed' in outcome && outcome.isUnsure === true)
    await until(() => feed.freshness() === 'stale')
    assert.equal(await edit(redisAt(redis.port, { commandTimeoutMs: 80 })), 'taken')
    assert.deepEqual(recorded, [])
    redis.thaw()
    await until(() => feed.refuses(ALICE) !== undefined)
    assert.deepEqual(recorded, ['published User::alice'])
  })
})

const MARK: MarkDraft = {
  kind: 'subject',
  target: 'User::alice',
  effect: 'credentials',
  reason: 'left',
  by: 'oncall',
}

const FACTS = { id: 'g', subject: 'User::bob', credential: 'j', resources: ['Account::1'] }
