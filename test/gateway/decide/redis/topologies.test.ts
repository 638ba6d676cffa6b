import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import { createSharedWait } from '../../../../src/core/shared-wait.ts'
import { createRedisGrants } from '../../../../src/gateway/decide/grants/redis-grants.ts'
import type { Grant } from '../../../../src/gateway/decide/grants/store.ts'
import type { RedisSettings } from '../../../../src/gateway/decide/redis/settings.ts'
import type { MarkDraft } from '../../../../src/gateway/decide/revocations/mark.ts'
import { startRelay } from '../../../support/redis-relay.ts'
import { type RedisServer, startRedis, withoutRedis } from '../../../support/redis-server.ts'
import { eventually } from '../../../support/server-process.ts'
import { manualClock } from '../manual-clock.ts'
import { linkTo, MAC, PREFIX, type Replica, replicaOf } from '../revocations/redis-world.ts'

const DRAFT: MarkDraft = { kind: 'all', target: '', effect: 'credentials', reason: 'why', by: 'oncall' }
const ALICE = {
  subject: { type: 'User', id: 'alice' },
  credential: { type: 'jwt', authenticator: 'staff', id: 'j', digest: 'd' },
}

const started = async (t: TestContext, ...args: Parameters<typeof startRedis>): Promise<RedisServer> => {
  const server = await startRedis(...args)
  t.after(server.close)
  return server
}

/** Waits until a heartbeat comes back. */
const heard = ({ feed }: Replica): Promise<void> =>
  eventually('the feed is heard', async () => (await feed.beat()) === null)

/** A Sentinel asks a primary every ten seconds who replicates it: of one that is gone by then it can make no other. */
const knowsAll = async ({ admin }: RedisServer): Promise<boolean> => {
  const reply = await admin.call('SENTINEL', 'MASTER', 'gate')
  const fields = Array.isArray(reply) ? reply.map(String) : []
  const numberOf = (name: string): number => Number(fields[fields.indexOf(name) + 1])
  return numberOf('num-slaves') === 2 && numberOf('num-other-sentinels') === 2
}

const node = ({ port }: RedisServer) => ({ host: '127.0.0.1', port })

const marksPass = async (a: Replica, b: Replica): Promise<void> => {
  await heard(a)
  await heard(b)
  const answer = await a.feed.publish(DRAFT)
  assert.ok('mark' in answer, 'failed' in answer ? answer.failed : '')
  await heard(b)
  assert.ok(b.feed.refuses(ALICE) !== undefined)
}

describe('Redis with Sentinels', { skip: withoutRedis, timeout: 60_000 }, () => {
  test('goes on at the new primary when the old one is killed: grants are void, marks are not', async (t) => {
    const primary = await started(t)
    const of = ['--replicaof', '127.0.0.1', String(primary.port), '--repl-diskless-sync-delay', '0']
    await Promise.all([started(t, of), started(t, of)])
    const sentinel = [
      `sentinel monitor gate 127.0.0.1 ${primary.port} 2`,
      'sentinel down-after-milliseconds gate 500',
      'sentinel failover-timeout gate 2000',
    ].join('\n')
    const sentinels = await Promise.all([1, 2, 3].map(() => started(t, [], { sentinel })))
    const place: RedisSettings['place'] = {
      kind: 'sentinel',
      name: 'gate',
      nodes: sentinels.map(node),
      db: 0,
    }
    const replicas = await Promise.all(
      [1, 2].map(async () =>
        replicaOf(await linkTo(t, 0, 1_000, { place, minReplicas: 1 }), { minReplicas: 1 }),
      ),
    )
    const [a, b] = replicas
    assert.ok(a !== undefined && b !== undefined)
    await marksPass(a, b)
    for (const each of sentinels) await eventually('the Sentinels know all', () => knowsAll(each))
    const held = b.feed.position()
    await primary.kill()
    assert.notEqual(await b.feed.beat(), null)
    await heard(b)
    await heard(a)
    const facts = { id: 'g', subject: 'User::bob', credential: 'k', resources: [] }
    assert.equal(b.feed.voids(facts, held), true)
    assert.ok(a.feed.refuses(ALICE) !== undefined && b.feed.refuses(ALICE) !== undefined)
  })
})

describe('a primary that was left behind', { skip: withoutRedis, timeout: 60_000 }, () => {
  test('is not believed, and what was published at the new one is heard as soon as that is reached', async (t) => {
    const old = await started(t)
    const next = await started(t, [
      '--replicaof',
      '127.0.0.1',
      `${old.port}`,
      '--repl-diskless-sync-delay',
      '0',
    ])
    const relay = await startRelay(t, old.port)
    const a = replicaOf(await linkTo(t, relay.port, 1_000, { minReplicas: 1 }), { minReplicas: 1 })
    await heard(a)
    const held = a.feed.position()
    await next.admin.replicaof('NO', 'ONE')
    const b = replicaOf(await linkTo(t, next.port))
    await heard(b)
    assert.ok('mark' in (await b.feed.publish(DRAFT)))
    while ((await a.feed.beat()) === null) await wait(20)
    a.clock.pass(2_001)
    assert.equal(a.feed.freshness(), 'stale')
    assert.equal(a.feed.refuses(ALICE), undefined)
    relay.leadTo(next.port)
    await old.admin.replicaof('127.0.0.1', next.port)
    await heard(a)
    assert.equal(a.feed.freshness(), 'fresh')
    assert.ok(a.feed.refuses(ALICE) !== undefined)
    const facts = { id: 'g', subject: 'User::bob', credential: 'k', resources: [] }
    assert.equal(a.feed.voids(facts, held), true)
  })
})

describe('a Redis cluster of six nodes', { skip: withoutRedis, timeout: 60_000 }, () => {
  test('keeps the feed and grants, on whatever nodes they are', async (t) => {
    const args = [
      '--cluster-enabled',
      'yes',
      '--cluster-node-timeout',
      '1000',
      '--repl-diskless-sync-delay',
      '0',
    ]
    const nodes = await Promise.all([1, 2, 3, 4, 5, 6].map(() => started(t, args)))
    const addresses = nodes.map(({ port }) => `127.0.0.1:${port}`)
    const create = ['--cluster', 'create', ...addresses, '--cluster-replicas', '1', '--cluster-yes']
    await promisify(execFile)('redis-cli', create)
    const place: RedisSettings['place'] = { kind: 'cluster', nodes: nodes.map(node) }
    const links = await Promise.all([1, 2].map(() => linkTo(t, 0, 1_000, { place, minReplicas: 1 })))
    const [a, b] = links.map((link) => replicaOf(link, { minReplicas: 1 }))
    const [link] = links
    assert.ok(a !== undefined && b !== undefined && link !== undefined)
    await marksPass(a, b)
    const clock = manualClock()
    const grants = createRedisGrants({ link, keyPrefix: PREFIX, mac: MAC, clock })
    const grantOf = (id: string): Grant => ({
      id,
      decision: { decision: 'allow', reasons: [], errors: [], source: 'grant', policyVersion: 'v' },
      expiresAtMs: clock.nowMs() + 60_000,
      lifeMs: 60_000,
      held: a.feed.position(),
      facts: { id, subject: 'User::alice', credential: 'j', resources: ['Account::1'] },
    })
    const ids = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
    for (const id of ids) {
      grants.put(grantOf(id))
      while ((await grants.get(id)) === undefined) await wait(5)
    }
    while ((await grants.find('subject', 'User::alice'))?.length !== ids.length) await wait(5)
    const found = await grants.find('resource', 'Account::1')
    assert.deepEqual(found?.map(({ id }) => id).sort(), ids)
    for (const { freeze } of nodes) freeze()
    // Whatever nodes they are on, and wherever the client looks for them.
    const patience = createSharedWait()
    const failures: unknown[] = []
    for (const id of ids) {
      const error: unknown = await link
        .within(patience)
        .call('GET', id)
        .catch((failure: unknown) => failure)
      failures.push(error instanceof Error && Reflect.get(error, 'code'))
    }
    assert.deepEqual(failures, ['REDIS_TIMEOUT', ...ids.slice(1).map(() => 'REDIS_WAIT_OVER')])
  })
})
