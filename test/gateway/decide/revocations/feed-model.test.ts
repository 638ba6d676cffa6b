import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { describe, type TestContext, test } from 'node:test'
import { isRefusal } from '../../../../src/core/refusals.ts'
import { createDecide } from '../../../../src/gateway/decide/decide.ts'
import { createMemoryStore } from '../../../../src/gateway/decide/grants/memory.ts'
import { createRedisGrants } from '../../../../src/gateway/decide/grants/redis-grants.ts'
import { createTwoTiers } from '../../../../src/gateway/decide/grants/two-tiers.ts'
import type { RedisCommands, RedisLink } from '../../../../src/gateway/decide/redis/link.ts'
import type { MarkDraft } from '../../../../src/gateway/decide/revocations/mark.ts'
import { type RedisServer, startRedis, withoutRedis } from '../../../support/redis-server.ts'
import { questionOf } from '../decide-world.ts'
import { manualClock } from '../manual-clock.ts'
import { linkTo, MAC, PREFIX, type Replica, reachable, replicaOf } from './redis-world.ts'

/*
 * Random interleavings of three gateways and a real Redis against the model of docs/revocation.md. The faults:
 * a gateway that is frozen (time passes and it does nothing), a gateway cut off from Redis and healed, one that is
 * restarted, a wall clock that is set, a Redis that is frozen (SIGSTOP), emptied, or killed and started anew with nothing.
 */

const SEED = Number(process.env.SALLYPORT_MODEL_SEED ?? randomInt(2 ** 31))
const STEPS = Number(process.env.SALLYPORT_MODEL_STEPS ?? 10_000)
const MAX_STALE_MS = 2_000
const SUBJECTS = ['alice', 'bob', 'carol']
const DEADLINE_MS = 150

interface Published {
  readonly id: string
  readonly subject: string
  readonly effect: 'grants' | 'credentials'
  readonly step: number
}

/** A gateway, and what the model says that it knows. */
interface Modelled {
  readonly replica: Replica
  readonly decide: ReturnType<typeof createDecide>
  /** Marks that it must have. */
  readonly knows: Map<string, Published>
  /** The feed that it last heard; counts up with each loss of data. */
  feedNumber: number
  /** Of the last heartbeat that came back. */
  heard: { readonly step: number; readonly atMs: number } | null
  isCutOff: boolean
}

/** A number from 0 to 1, the same ones for the same seed. */
const randomOf = (seed: number) => {
  let state = seed >>> 0
  return (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const createModel = (redis: RedisServer, links: readonly RedisLink[], random: () => number) => {
  const clocks = links.map(() => manualClock())
  let inFeed = new Map<string, Published>()
  let feedNumber = 1
  let step = 0
  const served = { grant: 0, 'grant-shared': 0, engine: 0, lost: 0 }
  const trace: string[] = []
  const published: Published[] = []
  const pick = <T>(items: readonly T[]): T => {
    const item = items[Math.floor(random() * items.length)]
    if (item === undefined) throw new Error('nothing to pick from')
    return item
  }

  const start = (index: number): Modelled => {
    const link = links[index]
    const clock = clocks[index]
    if (link === undefined || clock === undefined) throw new Error('no such gateway')
    const cut = async (): Promise<never> => Promise.reject(new Error('cut off'))
    const through = (commands: RedisCommands): RedisCommands => ({
      call: (...args) => (modelled.isCutOff ? cut() : commands.call(...args)),
      batch: (batched) => (modelled.isCutOff ? cut() : commands.batch(batched)),
    })
    const own: RedisLink = {
      ...through(link),
      within: (wait) => through(link.within(wait)),
      close: () => undefined,
    }
    const replica = replicaOf(own, { clock, maxStaleMs: MAX_STALE_MS, pause: async () => undefined })
    const memory = createMemoryStore({ clock, maxEntries: 1000, maxBytes: 10_000_000, marks: replica.feed })
    const shared = createRedisGrants({ link: own, keyPrefix: PREFIX, mac: MAC, clock })
    const decide = createDecide({
      engines: new Map([
        [
          'bank',
          {
            name: 'bank',
            type: 'model',
            policyVersion: () => 'v1',
            evaluate: () => [{ decision: 'allow', reasons: [`asked at ${step}`], errors: [] }],
          },
        ],
      ]),
      store: createTwoTiers(memory, shared, { sharedTimeoutMs: 1000 }),
      feed: replica.feed,
      routes: [{ ttlMs: 600_000, denyTtlMs: 0, quantiseMs: null }],
      mappingHashes: ['m'],
      clock,
      engineTimeoutMs: 10_000,
    })
    const modelled: Modelled = {
      replica,
      decide,
      knows: new Map(),
      feedNumber: 0,
      heard: null,
      isCutOff: false,
    }
    return modelled
  }
  const gateways = links.map((_, index) => start(index))

  const trueMs = (): number => (clocks[0]?.monotonicUs() ?? 0) / 1000

  const beat = async (index: number): Promise<void> => {
    const gateway = gateways[index]
    if (gateway === undefined) return
    const sent = { step, atMs: trueMs() }
    const wrong = await gateway.replica.feed.beat()
    if (wrong !== null) return
    if (gateway.feedNumber !== feedNumber) {
      gateway.feedNumber = feedNumber
      for (const mark of gateway.knows.values()) inFeed.set(mark.id, mark)
    }
    for (const mark of inFeed.values()) gateway.knows.set(mark.id, mark)
    gateway.heard = sent
    const listed = new Set(gateway.replica.feed.list().map(({ id }) => id))
    for (const { id } of gateway.knows.values())
      assert.ok(listed.has(id), `gateway ${index} does not know ${id}`)
  }

  const decide = async (index: number): Promise<void> => {
    const gateway = gateways[index]
    if (gateway === undefined) return
    const id = pick(SUBJECTS)
    const question = questionOf()
    const subject = { type: 'User', id }
    const credential = { type: 'jwt', authenticator: 'staff', id: `j-${id}`, digest: `d-${id}` }
    const mustRefuse = [...gateway.knows.values()].some(
      (mark) => mark.effect === 'credentials' && mark.subject === id,
    )
    const mark = gateway.replica.feed.refuses({ subject, credential })
    assert.ok(mark !== undefined || !mustRefuse, `gateway ${index} lets ${id} in`)
    const bound = {
      ...question.bound,
      accessRequests: question.bound.accessRequests.map((asked) => ({ ...asked, subject })),
    }
    const outcome = await gateway.decide({
      ...question,
      identity: { subject, credential, claims: {} },
      bound,
    })
    if (isRefusal(outcome)) {
      assert.equal(outcome.refusal, 'revocation_unavailable')
      served.lost += 1
      return
    }
    if (outcome.source === 'route') throw new Error('no public route is asked for')
    served[outcome.source] += 1
    if (outcome.source !== 'engine') check(index, id, Number(outcome.reasons[0]?.replace('asked at ', '')))
  }

  /** A grant served: was it allowed to? */
  const check = (index: number, subject: string, askedAt: number): void => {
    const heard = gateways[index]?.heard ?? null
    assert.ok(heard !== null, `gateway ${index} used a grant before it heard the feed`)
    const ageMs = trueMs() - heard.atMs
    assert.ok(ageMs <= MAX_STALE_MS, `gateway ${index} used a grant ${ageMs} ms after its last heartbeat`)
    const voiding = published.find(
      (mark) => mark.subject === subject && mark.step > askedAt && mark.step < heard.step,
    )
    assert.equal(voiding, undefined, `gateway ${index} used a grant for ${subject} asked at ${askedAt}`)
  }

  const revoke = async (index: number): Promise<void> => {
    const gateway = gateways[index]
    if (gateway === undefined) return
    const subject = pick(SUBJECTS)
    // Few of these: they last, and the rest is about grants.
    const effect = random() < 0.02 ? 'credentials' : 'grants'
    const draft: MarkDraft = {
      kind: 'subject',
      target: `User::${subject}`,
      effect,
      reason: '',
      by: 'model',
    }
    const answer = await gateway.replica.feed.publish(draft)
    if ('failed' in answer) return
    const mark: Published = { id: answer.mark.id, subject, effect: draft.effect, step }
    published.push(mark)
    inFeed.set(mark.id, mark)
    gateway.knows.set(mark.id, mark)
    await beat(index)
  }

  const lose = (): void => {
    inFeed = new Map()
    feedNumber += 1
  }

  const pass = (ms: number): void => {
    for (const clock of clocks) clock.pass(ms)
  }

  const actions: readonly (readonly [number, string, (index: number) => Promise<void> | void])[] = [
    [560, 'decide', decide],
    [230, 'beat', beat],
    [80, 'revoke', revoke],
    [90, 'time passes', () => pass(Math.floor(random() * 700))],
    [8, 'long time passes', () => pass(2_000 + Math.floor(random() * 400_000))],
    [8, 'cut off or heal', (index) => toggle(index)],
    [6, 'set the wall clock', (index) => clocks[index]?.setWall(Date.now() + (random() - 0.5) * 7_200_000)],
    [
      6,
      'restart the gateway',
      (index) => {
        gateways[index] = start(index)
      },
    ],
    [
      4,
      'empty Redis',
      async () => {
        await redis.admin.flushall()
        lose()
      },
    ],
    [
      1,
      'freeze Redis',
      async (index) => {
        redis.freeze()
        await decide(index)
        await beat(index)
        pass(1_000)
        await decide(index)
        redis.thaw()
        await Promise.all(links.map(reachable))
      },
    ],
    [
      0.3,
      'kill Redis',
      async (index) => {
        await redis.kill()
        lose()
        await beat(index)
        await decide(index)
        await redis.restart()
        await Promise.all(links.map(reachable))
      },
    ],
  ]
  const toggle = (index: number): void => {
    const gateway = gateways[index]
    if (gateway !== undefined) gateway.isCutOff = !gateway.isCutOff
  }
  const total = actions.reduce((sum, [weight]) => sum + weight, 0)

  return {
    served,
    trace,
    next: async (): Promise<void> => {
      step += 1
      let ticket = random() * total
      const index = Math.floor(random() * gateways.length)
      for (const [weight, name, act] of actions) {
        ticket -= weight
        if (ticket > 0) continue
        trace.push(`${step} gateway ${index}: ${name}`)
        return await act(index)
      }
    },
  }
}

const run = async (
  t: TestContext,
  seed: number,
  steps: number,
): Promise<Readonly<Record<string, number>>> => {
  const redis = await startRedis()
  t.after(redis.close)
  const links = await Promise.all(SUBJECTS.map(() => linkTo(t, redis.port, DEADLINE_MS)))
  const model = createModel(redis, links, randomOf(seed))
  for (let done = 0; done < steps; done += 1) {
    try {
      await model.next()
    } catch (error) {
      const again = `SALLYPORT_MODEL_SEED=${seed} SALLYPORT_MODEL_STEPS=${steps}`
      const what = error instanceof Error ? error.message : String(error)
      throw new Error(`${what}\n${again}\n${model.trace.slice(-30).join('\n')}`, { cause: error })
    }
  }
  return model.served
}

describe('three gateways and a Redis', { skip: withoutRedis }, () => {
  test(`serve no grant that the model forbids (seed ${SEED}, ${STEPS} steps)`, async (t) => {
    const served = await run(t, SEED, STEPS)
    t.diagnostic(`seed ${SEED}: ${JSON.stringify(served)}`)
    // Otherwise nothing was tried.
    assert.ok((served.grant ?? 0) > STEPS / 50, 'grants were served')
    assert.ok((served['grant-shared'] ?? 0) > 0, 'shared grants were served')
  })
})
