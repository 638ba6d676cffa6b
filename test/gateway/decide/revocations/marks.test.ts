import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Credential } from '../../../../src/core/identity.ts'
import type { Mark, MarkDraft } from '../../../../src/gateway/decide/revocations/mark.ts'
import type { MarkPeers, PeerListener } from '../../../../src/gateway/decide/revocations/mark-peers.ts'
import type { GrantFacts } from '../../../../src/gateway/decide/revocations/mark-table.ts'
import { allow, localFeed, questionOf, START_S, world } from '../decide-world.ts'
import { manualClock } from '../manual-clock.ts'

const DRAFT: MarkDraft = { kind: 'all', target: '', effect: 'grants', reason: 'why', by: 'oncall' }

const FACTS: GrantFacts = {
  id: 'g',
  subject: 'User::alice',
  credential: 'j',
  session: 's',
  task: 't',
  resources: ['Account::1', 'Account::2'],
}

const COVERING: readonly (readonly [MarkDraft['kind'], string])[] = [
  ['subject', 'User::alice'],
  ['credential', 'j'],
  ['session', 's'],
  ['task', 't'],
  ['resource', 'Account::2'],
  ['grant', 'g'],
  ['all', ''],
]

describe('a mark', () => {
  for (const [kind, target] of COVERING) {
    it(`on a ${kind} voids what was held before it, and nothing that came after it`, async () => {
      const feed = localFeed(manualClock())
      const before = feed.position()
      assert.equal(feed.voids(FACTS, before), false)
      await feed.publish({ ...DRAFT, kind, target })
      assert.equal(feed.voids(FACTS, before), true)
      assert.equal(feed.voids(FACTS, feed.position()), false)
    })

    it(`on another ${kind} voids nothing`, async () => {
      const feed = localFeed(manualClock())
      const before = feed.position()
      if (kind !== 'all') await feed.publish({ ...DRAFT, kind, target: `${target}x` })
      assert.equal(feed.voids(FACTS, before), false)
    })
  }

  it('is not mistaken for one of another kind with the same name', async () => {
    const feed = localFeed(manualClock())
    const before = feed.position()
    for (const kind of ['session', 'task', 'credential', 'grant'] as const) {
      await feed.publish({ ...DRAFT, kind, target: 'User::alice' })
    }
    assert.equal(feed.voids(FACTS, before), false)
  })

  it('keeps its order when the clock is set back', async () => {
    const clock = manualClock()
    const feed = localFeed(clock)
    await feed.publish({ ...DRAFT, kind: 'task', target: 'other' })
    const held = feed.position()
    clock.setWall(clock.nowMs() - 3_600_000)
    await feed.publish(DRAFT)
    assert.equal(feed.voids(FACTS, held), true)
  })

  it('of another worker comes after what is held, however many came in the same millisecond', async () => {
    const peers = peersOf(1)
    const feed = localFeed(manualClock(), { peers, maxMarks: 1000 })
    for (let count = 0; count < 200; count += 1) {
      const published = await feed.publish({ ...DRAFT, kind: 'task', target: `own-${count}` })
      assert.ok('mark' in published)
      assert.match(published.mark.id, /^\d+-\d{1,9}$/)
    }
    const held = feed.position()
    peers.tell({ ...DRAFT, id: `${START_S * 1000}-2`, issuedAtMs: 0, expiresAtMs: Number.MAX_SAFE_INTEGER })
    assert.equal(feed.voids(FACTS, held), true)
    const later = feed.position()
    await feed.publish(DRAFT)
    assert.equal(feed.voids(FACTS, later), true)
  })

  it('is always taken from operators, however many marks callers cause', async () => {
    const feed = localFeed(manualClock(), { maxMarks: 100 })
    const failed: string[] = []
    for (const by of ['gateway', 'authenticate', 'upstream:bank', 'gateway']) {
      for (let count = 0; count < 100; count += 1) {
        const published = await feed.publish({ ...DRAFT, kind: 'grant', target: `${by}-${count}`, by })
        if ('failed' in published) failed.push(published.failed)
      }
    }
    assert.ok(failed.length > 300)
    assert.ok('mark' in (await feed.publish({ ...DRAFT, by: 'oncall' })))
    assert.ok('mark' in (await feed.publish({ ...DRAFT, by: 'signals:idp' })))
  })

  it('is judged for each subject that one credential stands for', async () => {
    const feed = localFeed(manualClock())
    const credential = credentialOf()
    const alice = { subject: { type: 'User', id: 'alice' }, credential }
    const bob = { subject: { type: 'User', id: 'bob' }, credential }
    await feed.publish({ ...DRAFT, kind: 'subject', target: 'User::alice', effect: 'credentials' })
    assert.equal(feed.refuses(bob), undefined)
    assert.ok(feed.refuses(alice))
    assert.equal(feed.refuses(bob), undefined)
  })

  it('that is withdrawn refuses nobody any more, but what it has voided stays void', async () => {
    const feed = localFeed(manualClock())
    const held = feed.position()
    const identity = { subject: { type: 'User', id: 'alice' }, credential: credentialOf() }
    const published = await feed.publish({ ...DRAFT, effect: 'credentials' })
    assert.ok('mark' in published)
    assert.equal(feed.refuses(identity)?.id, published.mark.id)
    assert.ok(await feed.withdraw(published.mark.id, 'oncall'))
    assert.equal(feed.refuses(identity), undefined)
    assert.equal(feed.voids(FACTS, held), true)
    assert.deepEqual(feed.list(), [])
    assert.equal(await feed.withdraw(published.mark.id, 'oncall'), null)
  })

  it('is told to listeners once it is in force, and a listener that throws holds up nobody', async () => {
    const feed = localFeed(manualClock())
    const seen: boolean[] = []
    const held = feed.position()
    feed.onMark(() => {
      throw new Error('broken')
    })
    const stop = feed.onMark(() => seen.push(feed.voids(FACTS, held)))
    await feed.publish(DRAFT)
    stop()
    await feed.publish(DRAFT)
    assert.deepEqual(seen, [true])
  })
})

const credentialOf = (more: Partial<Credential> = {}): Credential => ({
  type: 'jwt',
  authenticator: 'staff',
  id: 'j',
  digest: 'd',
  ...more,
})

describe('a mark with effect credentials', () => {
  const refused = async (draft: Partial<MarkDraft>, credential: Partial<Credential>): Promise<boolean> => {
    const feed = localFeed(manualClock())
    await feed.publish({ ...DRAFT, effect: 'credentials', ...draft })
    const subject = { type: 'User', id: 'alice' }
    return feed.refuses({ subject, credential: credentialOf(credential) }) !== undefined
  }
  const subject = { kind: 'subject', target: 'User::alice' } as const

  it('refuses what was issued before it, or in the same second, and not what was issued after it', async () => {
    assert.equal(await refused(subject, { issuedAt: START_S - 1 }), true)
    assert.equal(await refused(subject, { issuedAt: START_S }), true)
    assert.equal(await refused(subject, { issuedAt: START_S + 1 }), false)
  })

  it('refuses what was issued before it, whatever later login it tells of', async () => {
    const told = { issuedAt: START_S - 1, authenticatedAt: START_S * 1000 }
    assert.equal(await refused(subject, told), true)
  })

  it('goes by when the caller proved who he is, which a refreshed credential does not change', async () => {
    assert.equal(await refused(subject, { issuedAt: START_S + 9, authenticatedAt: START_S - 9 }), true)
    assert.equal(await refused(subject, { issuedAt: START_S + 9, authenticatedAt: START_S + 9 }), false)
  })

  it('refuses what does not say when it was issued', async () => {
    assert.equal(await refused(subject, {}), true)
  })

  it('refuses an ended session and a revoked credential whenever they were issued', async () => {
    assert.equal(
      await refused({ kind: 'session', target: 's' }, { session: 's', issuedAt: START_S + 9 }),
      true,
    )
    assert.equal(await refused({ kind: 'credential', target: 'j' }, { issuedAt: START_S + 9 }), true)
    assert.equal(await refused({ kind: 'session', target: 's' }, { session: 'other' }), false)
  })

  it('does not refuse an anonymous caller, who has proved nothing', async () => {
    assert.equal(await refused({}, { type: 'anonymous' }), false)
  })

  it('ends when it expires', async () => {
    const clock = manualClock()
    const feed = localFeed(clock, { markLifeMs: 48 * 3_600_000 })
    await feed.publish({ ...DRAFT, effect: 'credentials' })
    const identity = { subject: { type: 'User', id: 'alice' }, credential: credentialOf() }
    clock.pass(48 * 3_600_000 - 1)
    assert.notEqual(feed.refuses(identity), undefined)
    clock.pass(1)
    assert.equal(feed.refuses(identity), undefined)
    assert.deepEqual(feed.list(), [])
  })
})

describe('deciding', () => {
  const alice: MarkDraft = { ...DRAFT, kind: 'subject', target: 'User::alice' }

  it('asks the engine again after a mark that covers the grant, and only then', async () => {
    const { now, feed } = world()
    now()
    await feed.publish({ ...alice, target: 'User::bob' })
    assert.equal(now().source, 'grant')
    await feed.publish(alice)
    assert.equal(now().source, 'engine')
    assert.equal(now().source, 'grant')
  })

  it('does not keep for later what the engine was asked before the mark', async () => {
    let answer = (): void => undefined
    const { decide, feed, asked } = world({
      evaluate: () =>
        new Promise((resolve) => {
          answer = () => resolve([allow])
        }),
    })
    const first = decide(questionOf())
    const answerFirst = answer
    await feed.publish(alice)
    // Does not wait for what was asked before the mark, either.
    const second = decide(questionOf())
    assert.equal(asked(), 2)
    answerFirst()
    answer()
    await Promise.all([first, second])
    const third = decide(questionOf())
    assert.ok(!(third instanceof Promise) && 'source' in third && third.source === 'grant')
  })

  it('asks the engine each time while the latest marks are not known, and refuses when that lasts', () => {
    const clock = manualClock()
    const local = localFeed(clock)
    let freshness: ReturnType<typeof local.freshness> = 'fresh'
    const { now, decide } = world({ feed: { ...local, freshness: () => freshness } })
    now()
    freshness = 'stale'
    assert.deepEqual([now().source, now().source], ['engine', 'engine'])
    freshness = 'lost'
    const refusal = decide(questionOf())
    assert.ok(!(refusal instanceof Promise) && 'refusal' in refusal)
    assert.equal(refusal.refusal, 'revocation_unavailable')
    assert.equal(now({ credential: { type: 'anonymous' } }).decision, 'allow')
    const open = { ...questionOf({ route: { access: 'public' } }), identity: null }
    assert.ok('source' in decide(open))
    freshness = 'fresh'
    assert.equal(now().source, 'grant')
  })
})

/** Other workers, of whom one can publish. */
const peersOf = (index: number): MarkPeers & { readonly tell: (mark: Mark) => void } => {
  let listener: PeerListener | null = null
  const told = async () => ({ known: 2, applied: 2 })
  return {
    index,
    known: [],
    publish: told,
    withdraw: told,
    listen: (next) => {
      listener = next
    },
    tell: (mark) => listener?.published(mark),
  }
}
