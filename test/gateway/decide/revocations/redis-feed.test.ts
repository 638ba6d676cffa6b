import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { describe, type TestContext, test } from 'node:test'
import type { Mark, MarkDraft } from '../../../../src/gateway/decide/revocations/mark.ts'
import type { GrantFacts } from '../../../../src/gateway/decide/revocations/mark-table.ts'
import { type RedisServer, startRedis, withoutRedis } from '../../../support/redis-server.ts'
import { linkTo, PREFIX, reachable, replicaOf } from './redis-world.ts'

const DRAFT: MarkDraft = {
  kind: 'subject',
  target: 'User::alice',
  effect: 'grants',
  reason: 'why',
  by: 'oncall',
}
const FACTS: GrantFacts = { id: 'g', subject: 'User::alice', credential: 'j', resources: [] }
const ALICE = {
  subject: { type: 'User', id: 'alice' },
  credential: { type: 'jwt', authenticator: 'staff', id: 'j', digest: 'd' },
}

const redisFor = async (t: TestContext, args: readonly string[] = []): Promise<RedisServer> => {
  const redis = await startRedis(args)
  t.after(redis.close)
  return redis
}

const replicasOf = async (t: TestContext, redis: RedisServer, count: number) => {
  const links = await Promise.all(Array.from({ length: count }, () => linkTo(t, redis.port)))
  const replicas = links.map((link) => replicaOf(link))
  for (const { feed } of replicas) assert.equal(await feed.beat(), null)
  return replicas
}

const published = async (feed: Awaited<ReturnType<typeof replicasOf>>[number]['feed'], draft = DRAFT) => {
  const answer = await feed.publish(draft)
  assert.ok('mark' in answer, 'failed' in answer ? answer.failed : '')
  return answer
}

describe('the feed that gateways share', { skip: withoutRedis }, () => {
  test('takes a mark to every gateway, where it voids what was held before it', async (t) => {
    const [a, b] = await replicasOf(t, await redisFor(t), 2)
    assert.ok(a !== undefined && b !== undefined)
    const held = b.feed.position()
    const told: string[] = []
    b.feed.onMark(({ reason }) => told.push(reason))
    const { mark, replicas } = await published(a.feed)
    assert.deepEqual(replicas, { known: 2, applied: 1 })
    assert.equal(a.feed.voids(FACTS, held), true)
    assert.equal(b.feed.voids(FACTS, held), false)
    assert.equal(await b.feed.beat(), null)
    assert.equal(b.feed.voids(FACTS, held), true)
    assert.equal(b.feed.voids(FACTS, b.feed.position()), false)
    assert.deepEqual(told, ['why'])
    assert.deepEqual(b.feed.list(), [mark])
    const { replicas: later } = await published(b.feed)
    assert.equal(later.known, 2)
  })

  test('is told how far a gateway has come also when that was amid a heartbeat', async (t) => {
    const redis = await redisFor(t)
    const link = await linkTo(t, redis.port)
    const beats = new EventEmitter()
    const batch: typeof link.batch = async (commands) => {
      const reply = await link.batch(commands)
      beats.emit('asked')
      await once(beats, 'answer')
      return reply
    }
    const b = replicaOf({ ...link, batch })
    const asked = once(beats, 'asked')
    const beating = b.feed.beat()
    await asked
    let told: Promise<void> | null = null
    const takeOnce = async (): Promise<void> => {
      if (told !== null) return
      b.feed.take(await link.call('XRANGE', b.feed.streamKey, '-', '+'))
      told = b.feed.tell()
      beats.on('asked', () => setImmediate(() => beats.emit('answer')))
      beats.emit('answer')
      await told
    }
    const a = replicaOf(await linkTo(t, redis.port), { pause: takeOnce })
    assert.equal(await a.feed.beat(), null)
    const { replicas } = await published(a.feed)
    assert.deepEqual(replicas, { known: 2, applied: 2 })
    assert.equal(await beating, null)
  })

  test('is fresh for as long after a heartbeat as maxStale says, then stale, then lost', async (t) => {
    const [a] = await replicasOf(t, await redisFor(t), 1)
    assert.ok(a !== undefined)
    a.clock.pass(2_000)
    assert.equal(a.feed.freshness(), 'fresh')
    a.clock.pass(1)
    assert.equal(a.feed.freshness(), 'stale')
    a.clock.pass(300_000)
    assert.equal(a.feed.freshness(), 'lost')
    await a.feed.beat()
    assert.equal(a.feed.freshness(), 'fresh')
  })

  test('counts a heartbeat from when it was sent, not from when it came back', async (t) => {
    const redis = await redisFor(t)
    const [a] = await replicasOf(t, redis, 1)
    assert.ok(a !== undefined)
    redis.freeze()
    const beating = a.feed.beat()
    a.clock.pass(2_001)
    redis.thaw()
    assert.equal(await beating, null)
    assert.equal(a.feed.freshness(), 'stale')
  })

  test('a withdrawn mark stays withdrawn when what was read before is taken late', async (t) => {
    const [a, b] = await replicasOf(t, await redisFor(t), 2)
    assert.ok(a !== undefined && b !== undefined)
    const { mark } = await published(a.feed, { ...DRAFT, effect: 'credentials' })
    const early = await b.link.call('XRANGE', b.feed.streamKey, '-', '+')
    await a.feed.withdraw(mark.id, 'oncall')
    await b.feed.beat()
    b.feed.take(early)
    assert.equal(b.feed.refuses(ALICE), undefined)
    assert.deepEqual(b.feed.list(), [])
  })

  test('a withdrawn mark refuses nobody on any gateway', async (t) => {
    const [a, b] = await replicasOf(t, await redisFor(t), 2)
    assert.ok(a !== undefined && b !== undefined)
    const { mark } = await published(a.feed, { ...DRAFT, effect: 'credentials' })
    await b.feed.beat()
    assert.notEqual(b.feed.refuses(ALICE), undefined)
    assert.ok(await b.feed.withdraw(mark.id, 'oncall'))
    await a.feed.beat()
    assert.equal(a.feed.refuses(ALICE), undefined)
    assert.equal(b.feed.refuses(ALICE), undefined)
    assert.equal(await a.feed.withdraw(mark.id, 'oncall'), null)
  })

  test('a gateway that starts has all marks in force, however many there are', async (t) => {
    const redis = await redisFor(t)
    const [a] = await replicasOf(t, redis, 1)
    assert.ok(a !== undefined)
    for (let index = 0; index < 1_100; index += 1) {
      const draft = { kind: 'session', target: `s${index}`, effect: 'credentials' } as const
      await published(a.feed, { ...DRAFT, ...draft })
    }
    const [late] = await replicasOf(t, redis, 1)
    assert.equal(late?.feed.list().length, 1_100)
    assert.equal(late?.feed.position(), a.feed.position())
  })

  for (const [name, harm] of [
    ['was emptied', (redis: RedisServer) => redis.admin.flushall()],
    ['lost the feed alone', (redis: RedisServer) => redis.admin.del(`${PREFIX}{feed}:marks`)],
    ['was started anew with nothing in it', (redis: RedisServer) => redis.restart()],
  ] as const) {
    test(`when Redis ${name}, all grants are void, and each mark is published again by who knows it`, async (t) => {
      const redis = await redisFor(t)
      const [a, b] = await replicasOf(t, redis, 2)
      assert.ok(a !== undefined && b !== undefined)
      await published(a.feed, { ...DRAFT, effect: 'credentials' })
      // Only this one knows it: the other had no heartbeat since.
      const held = a.feed.position()
      await harm(redis)
      await Promise.all([reachable(a.link), reachable(b.link)])
      assert.equal(await b.feed.beat(), null)
      assert.equal(b.feed.refuses(ALICE), undefined)
      assert.equal(await a.feed.beat(), null)
      assert.equal(a.feed.voids({ ...FACTS, subject: 'User::bob' }, held), true)
      assert.equal(a.feed.voids({ ...FACTS, subject: 'User::bob' }, a.feed.position()), false)
      assert.equal(await b.feed.beat(), null)
      assert.notEqual(b.feed.refuses(ALICE), undefined)
      assert.equal(b.feed.list().length, 1)
      assert.equal(await redis.admin.xlen(`${PREFIX}{feed}:marks`), 1)
    })
  }

  test('a gateway that starts on an emptied Redis waits until the others can have published again', async (t) => {
    const redis = await redisFor(t)
    const a = replicaOf(await linkTo(t, redis.port))
    assert.notEqual(a.feed.status().unready, null)
    await a.feed.beat()
    assert.notEqual(a.feed.status().unready, null)
    a.clock.pass(2_000)
    assert.equal(a.feed.status().unready, null)
  })

  test('a gateway that never heard the feed is not ready, and publishes nothing', async (t) => {
    const redis = await redisFor(t)
    const link = await linkTo(t, redis.port)
    await redis.kill()
    const a = replicaOf(link)
    assert.notEqual(await a.feed.beat(), null)
    assert.equal(a.feed.freshness(), 'stale')
    assert.notEqual(a.feed.status().unready, null)
    const refused = await a.feed.publish(DRAFT)
    assert.ok(
      'failed' in refused && refused.failed.includes(`127.0.0.1:${redis.port}`),
      JSON.stringify(refused),
    )
  })

  test('a mark that Redis took without saying so is told as unsure, and recorded when it is seen', async (t) => {
    const redis = await redisFor(t)
    const recorded: string[] = []
    const a = replicaOf(await linkTo(t, redis.port, 300), {
      onPublished: (what, mark) => recorded.push(`${what} ${mark.target}`),
    })
    assert.equal(await a.feed.beat(), null)
    redis.freeze()
    const outcome = await a.feed.publish(DRAFT)
    assert.ok('failed' in outcome && outcome.isUnsure === true)
    assert.deepEqual(recorded, [])
    redis.thaw()
    while (a.feed.list().length === 0) await a.feed.beat()
    await a.feed.beat()
    assert.deepEqual(recorded, ['published User::alice'])
    assert.equal(await redis.admin.xlen(`${PREFIX}{feed}:marks`), 1)
  })

  test('a mark that nobody would ask for again is in force here at once, and everywhere when Redis is back', async (t) => {
    const redis = await redisFor(t)
    const [a, b] = await replicasOf(t, redis, 2)
    assert.ok(a !== undefined && b !== undefined)
    const held = b.feed.position()
    await redis.kill()
    const outcome = await a.feed.publish({ ...DRAFT, effect: 'credentials' }, true)
    assert.ok('mark' in outcome && outcome.warning !== undefined)
    assert.notEqual(a.feed.refuses(ALICE), undefined)
    assert.ok('failed' in (await a.feed.publish(DRAFT)))
    await redis.restart()
    await Promise.all([reachable(a.link), reachable(b.link)])
    assert.equal(await a.feed.beat(), null)
    assert.equal(await b.feed.beat(), null)
    assert.notEqual(b.feed.refuses(ALICE), undefined)
    assert.equal(b.feed.voids(FACTS, held), true)
    assert.equal(await redis.admin.xlen(`${PREFIX}{feed}:marks`), 1)
  })

  test('a mark that nobody asks for again reaches others also when it fails while earlier ones are published', async (t) => {
    const redis = await redisFor(t)
    const real = await linkTo(t, redis.port)
    const b = replicaOf(await linkTo(t, redis.port))
    const network: { isAway: boolean; before: (() => Promise<void>) | null } = { isAway: false, before: null }
    const a = replicaOf({
      ...real,
      batch: async (commands) => {
        if (network.isAway) throw new Error('away')
        // A heartbeat has four keys, what is added three.
        const { before } = commands[0]?.[2] === 3 ? network : { before: null }
        if (before !== null) network.before = null
        await before?.()
        return real.batch(commands)
      },
    })
    for (const { feed } of [a, b]) assert.equal(await feed.beat(), null)
    network.isAway = true
    await a.feed.publish(DRAFT, true)
    network.isAway = false
    const signals = new EventEmitter()
    const publishing = once(signals, 'publishing')
    network.before = async () => {
      const goesOn = once(signals, 'go on')
      signals.emit('publishing')
      await goesOn
    }
    const beating = a.feed.beat()
    await publishing
    network.isAway = true
    await a.feed.publish({ ...DRAFT, reason: 'the second' }, true)
    network.isAway = false
    signals.emit('go on')
    assert.equal(await beating, null)
    for (const { feed } of [a, b]) assert.equal(await feed.beat(), null)
    assert.deepEqual(
      b.feed.list().map(({ reason }) => reason),
      ['why', 'the second'],
    )
  })

  test('many marks that came while Redis was away are published together, each once and in their order', async (t) => {
    const redis = await redisFor(t)
    const real = await linkTo(t, redis.port)
    const b = replicaOf(await linkTo(t, redis.port))
    let isAway = false
    let cutAfter = Number.POSITIVE_INFINITY
    const sent: number[] = []
    const a = replicaOf({
      ...real,
      batch: async (commands) => {
        if (isAway) throw new Error('away')
        if (commands[0]?.[2] !== 3) return real.batch(commands)
        sent.push(commands.length)
        const some = commands.slice(0, cutAfter)
        const answers = await real.batch(some)
        if (some.length === commands.length) return answers
        throw new Error('cut off in between')
      },
    })
    for (const { feed } of [a, b]) assert.equal(await feed.beat(), null)
    isAway = true
    const held = b.feed.position()
    const reasons = Array.from({ length: 250 }, (_, number) => `reason ${number}`)
    for (const reason of reasons) {
      a.clock.pass(1)
      assert.ok('mark' in (await a.feed.publish({ ...DRAFT, reason }, true)))
    }
    isAway = false
    cutAfter = 30
    assert.notEqual(await a.feed.beat(), null)
    assert.deepEqual(sent, [100])
    cutAfter = Number.POSITIVE_INFINITY
    for (const { feed } of [a, b]) assert.equal(await feed.beat(), null)
    // What was heard to be in the feed is not sent again.
    assert.deepEqual(sent, [100, 100, 100, 20])
    const entries = await redis.admin.xrange(`${PREFIX}{feed}:marks`, '-', '+')
    assert.deepEqual(
      entries.map(([, fields]) => JSON.parse(fields[3] ?? '').mark.reason),
      reasons,
    )
    assert.deepEqual(
      b.feed.list().map(({ reason }) => reason),
      reasons,
    )
    assert.equal(b.feed.voids(FACTS, held), true)
    assert.equal(a.feed.position(), b.feed.position())
  })

  test('what somebody without the key writes into the feed or takes from it lets nobody in', async (t) => {
    const redis = await redisFor(t)
    const [a] = await replicasOf(t, redis, 1)
    assert.ok(a !== undefined)
    const { mark } = await published(a.feed, { ...DRAFT, effect: 'credentials' })
    const key = `${PREFIX}{feed}:marks`
    const forged = JSON.stringify({ withdrawn: mark.id, by: 'x', expiresAtMs: 9e12 })
    await redis.admin.xadd(key, '*', 'i', 'w', 'm', forged, 'k', 'no-mac', 'x', '9999999999999')
    assert.equal(await a.feed.beat(), null)
    assert.notEqual(a.feed.refuses(ALICE), undefined)
    const held = a.feed.position()
    await redis.admin.xtrim(key, 'MAXLEN', 0)
    await published(a.feed, { ...DRAFT, target: 'User::bob' })
    assert.equal(await a.feed.beat(), null)
    assert.notEqual(a.feed.refuses(ALICE), undefined)
    assert.equal(a.feed.voids(FACTS, held), true)
  })

  test('one that was away while the feed was trimmed holds nothing from before', async (t) => {
    const redis = await redisFor(t)
    const [a, b] = await replicasOf(t, redis, 2)
    assert.ok(a !== undefined && b !== undefined)
    const held = b.feed.position()
    await published(a.feed)
    await published(a.feed, { ...DRAFT, target: 'User::bob' })
    await redis.admin.xtrim(`${PREFIX}{feed}:marks`, 'MAXLEN', 1)
    await b.feed.beat()
    assert.equal(b.feed.voids(FACTS, held), true)
    assert.equal(b.feed.voids({ ...FACTS, subject: 'User::carol' }, held), true)
    assert.equal(b.feed.voids(FACTS, b.feed.position()), false)
  })

  test('a Redis that may evict the feed is never fresh', async (t) => {
    const redis = await redisFor(t, ['--maxmemory', '100mb', '--maxmemory-policy', 'allkeys-lru'])
    const a = replicaOf(await linkTo(t, redis.port))
    assert.notEqual(await a.feed.beat(), null)
    assert.equal(a.feed.evicts(), true)
    assert.equal(a.feed.freshness(), 'stale')
    assert.notEqual(a.feed.status().unready, null)
  })

  test('takes over marks that were published elsewhere while it was prepared', async (t) => {
    const redis = await redisFor(t)
    const a = replicaOf(await linkTo(t, redis.port))
    const b = replicaOf(await linkTo(t, redis.port))
    assert.equal(await a.feed.beat(), null)
    const nowMs = a.clock.nowMs()
    const mark: Mark = {
      ...DRAFT,
      ...{ id: `${nowMs}-7`, kind: 'subject', target: 'User::mallory', effect: 'credentials' },
      ...{ issuedAtMs: nowMs, expiresAtMs: Number.MAX_SAFE_INTEGER },
    }
    a.feed.adopt([mark])
    const credential = { type: 'jwt', authenticator: 'staff', id: 'j', digest: 'd' }
    const mallory = { subject: { type: 'User', id: 'mallory' }, credential }
    assert.equal(a.feed.refuses(mallory)?.id, mark.id)
    assert.equal(await a.feed.beat(), null)
    assert.equal(await b.feed.beat(), null)
    assert.equal(b.feed.refuses(mallory)?.id, mark.id)
  })

  test('refuses more marks than it may hold', async (t) => {
    const redis = await redisFor(t)
    const a = replicaOf(await linkTo(t, redis.port), { maxMarks: 2 })
    await a.feed.beat()
    await published(a.feed)
    await published(a.feed)
    assert.ok('failed' in (await a.feed.publish(DRAFT)))
  })
})
