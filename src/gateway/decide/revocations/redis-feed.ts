import { randomBytes, randomInt } from 'node:crypto'
import type { Clock } from '../../../core/clock.ts'
import type { Log } from '../../../core/log.ts'
import type { Argument, RedisLink } from '../redis/link.ts'
import type { Mac } from '../redis/mac.ts'
import { addEntries } from './add-entries.ts'
import { type Beat, createBeatReader, hasComeTo } from './beat.ts'
import type { FeedStatus, Freshness, NotPublished, OnPublished, Published, RevocationFeed } from './feed.ts'
import { type FeedEntry, idOf, type PlacedEntry, readEntries } from './feed-entry.ts'
import { BEAT } from './feed-scripts.ts'
import { createListeners } from './listeners.ts'
import { markOf } from './local-feed.ts'
import { type Mark, mostMarks } from './mark.ts'
import { createMarkTable } from './mark-table.ts'
import { comparePositions, heldOf, type Position, START } from './position.ts'
import { addUnsure, recordIfUnsure, type Unsure } from './unsure.ts'

export interface RedisFeedOptions {
  readonly clock: Clock
  readonly log: Log
  /** Where commands go to the primary. */
  readonly link: RedisLink
  readonly keyPrefix: string
  readonly mac: Mac
  readonly maxStaleMs: number
  /** Infinity: never. */
  readonly failClosedAfterMs: number
  readonly markLifeMs: number
  readonly maxMarks: number
  /** Redis replicas that must have a heartbeat or a mark before it counts. */
  readonly minReplicas: number
  /** Marks that were in force before, of a feed that this one follows. */
  readonly marks: readonly Mark[]
  /** When that feed was heard last, by the monotonic clock, if it was the same one; null or left out: it was not. */
  readonly heardUs?: number | null
  readonly onPublished: OnPublished
  /** Of this feed and those before it; default none. */
  readonly unsure?: Unsure
  /** Resolves after so many milliseconds; rejects never. */
  readonly pause: (ms: number) => Promise<void>
}

export interface RedisFeed extends RevocationFeed {
  /** One heartbeat: reads all that is new. Resolves to what is wrong, or null; never rejects. */
  readonly beat: () => Promise<string | null>
  /** Beats until a heartbeat has told the others how far this gateway has come, or fails. */
  readonly tell: () => Promise<void>
  /** Applies what another connection read; contiguous, from our position on or before it. */
  readonly take: (reply: unknown) => void
  readonly streamKey: string
  /** Marks that came into force elsewhere since it was made; they are published with the next heartbeat. */
  readonly adopt: (marks: readonly Mark[]) => void
  /** True when the Redis may drop the feed to make room. */
  readonly evicts: () => boolean
  /** When it, or the same one before it, was heard last, by the monotonic clock; null: never. */
  readonly heardUs: () => number | null
  /** True when a heartbeat of its own came back. */
  readonly isHeard: () => boolean
}

const PAGE = 1000
/** Some 200 kB, and far from the deadline of a command. */
const ADDED_TOGETHER = 100
const APPLIED_WAITS = { times: 20, ms: 25 }
/** Before an entry that may be in the feed is added again, which does nothing if it is. */
const ADD_AGAIN_MS = 100

/**
 * The feed that gateways share by a Redis; see docs/revocation.md for what each of them knows, and may do.
 *
 * Does nothing by itself: `keepBeating` and `keepReading` drive it.
 */
export const createRedisFeed = (options: RedisFeedOptions): RedisFeed => {
  const { clock, log, link, mac, maxStaleMs, minReplicas, keyPrefix } = options
  const key = (name: string): string => `${keyPrefix}{feed}:${name}`
  const keys = { meta: key('meta'), marks: key('marks'), ids: key('ids'), replicas: key('replicas') }
  const place = { link, keys, mac }
  const self = randomBytes(9).toString('base64url')
  let epoch = `none-${self}`
  let position: Position = START
  let held = heldOf(epoch, position)
  /** As the last heartbeat said. */
  let toldHeld = ''
  const table = createMarkTable(epoch)
  const listeners = createListeners<Mark>(log)
  /** Ids that this epoch's feed has. */
  let inFeed = new Set<string>()
  let withdrawn = new Set<string>()
  let mustRepublish = options.marks.length > 0
  let asOfUs: number | null = options.heardUs ?? null
  let isHeard = false
  /** To be recorded when it is seen there. */
  const { unsure = new Map() } = options
  const createdUs = clock.monotonicUs()
  let settling: { readonly untilServerMs: number } | null = null
  let serverAheadMs = 0
  let beats = 0
  let applied = 0
  let evicts = false
  let beating: Promise<string | null> | null = null
  /** With the last heartbeat. */
  let wrong: string | null = null
  let replicas: Beat['replicas'] = []
  for (const mark of options.marks) table.apply(mark, START)

  const nowMs = (): number => clock.nowMs() + serverAheadMs

  const staleMs = (): number => (clock.monotonicUs() - (asOfUs ?? createdUs)) / 1000

  const freshness = (): Freshness => {
    const stale = staleMs()
    if (asOfUs !== null && stale <= maxStaleMs && !evicts) return 'fresh'
    return stale <= options.failClosedAfterMs ? 'stale' : 'lost'
  }

  const moveTo = (next: Position): void => {
    if (comparePositions(next, position) <= 0) return
    position = next
    held = heldOf(epoch, position)
  }

  const takeEntries = (entries: readonly PlacedEntry[]): void => {
    const fresh: Mark[] = []
    for (const { position: at, entry } of entries) {
      if (entry === null)
        log.error(
          { position: at },
          'an entry of the revocation feed is not from a gateway; it is passed over',
        )
      else if ('mark' in entry) takeMark(entry.mark, at, fresh)
      else {
        withdrawn.add(entry.withdrawn)
        table.withdraw(entry.withdrawn)
      }
      if (entry !== null) noticeInFeed(idOf(entry))
      moveTo(at)
    }
    for (const mark of fresh) if (!withdrawn.has(mark.id)) listeners.tell(mark)
  }

  const noticeInFeed = (id: string): void => {
    inFeed.add(id)
    recordIfUnsure(unsure, id)
  }

  const takeMark = (mark: Mark, at: Position, fresh: Mark[]): void => {
    // Two connections read the feed: what one of them has read may be taken after what the other read later.
    if (mark.expiresAtMs <= nowMs() || withdrawn.has(mark.id)) return
    const isNew = !table.has(mark.id)
    table.apply(mark, at)
    if (!isNew) return
    applied += 1
    fresh.push(mark)
  }

  const add = async (entry: FeedEntry, most = options.maxMarks): Promise<Position | 'full'> => {
    const [at = 'full'] = await addEntries(place, [entry], () => most)
    return at
  }

  const addSurely = (entry: FeedEntry, most?: number): Promise<Position | 'full'> =>
    add(entry, most).catch(async () => {
      await options.pause(ADD_AGAIN_MS)
      return add(entry, most)
    })

  const notSure = (entry: FeedEntry, error: unknown, record: () => void): NotPublished => {
    addUnsure(unsure, idOf(entry), record)
    return { failed: error instanceof Error ? error.message : String(error), isUnsure: true }
  }

  const readBeat = createBeatReader(mac)

  const oneBeat = async (): Promise<string | null> => {
    const sentUs = clock.monotonicUs()
    beats += 1
    const proposed = `${clock.nowMs()}-${randomBytes(9).toString('base64url')}`
    toldHeld = held
    const args = [epoch, proposed, position, self, beats, PAGE, maxStaleMs * 3]
    const commands: [string, ...Argument[]][] = [
      ['EVAL', BEAT, 4, keys.meta, keys.marks, keys.replicas, keys.ids, ...args],
    ]
    if (minReplicas > 0) commands.push(['WAIT', minReplicas, Math.max(1, Math.floor(maxStaleMs / 4))])
    const [reply, acknowledged] = await link.batch(commands)
    const beat = readBeat(reply)
    serverAheadMs = beat.serverMs - clock.nowMs()
    replicas = beat.replicas
    noticePolicy(beat.policy)
    if (beat.epoch !== epoch) beginEpoch(beat)
    table.setFloor(beat.floor)
    takeEntries(beat.entries)
    if (beat.entries.length === PAGE) await readOn()
    if (comparePositions(position, beat.last) < 0) moveTo(beat.last)
    if (mustRepublish) await republish()
    table.forget(nowMs())
    if (minReplicas > 0 && Number(acknowledged) < minReplicas) {
      return `${acknowledged} Redis replicas have the heartbeat, expected ${minReplicas}`
    }
    asOfUs = Math.max(asOfUs ?? 0, sentUs)
    isHeard = true
    return evicts ? EVICTING : null
  }

  const noticePolicy = (policy: string): void => {
    const mayEvict = policy.startsWith('allkeys')
    if (mayEvict && !evicts) log.error({ policy }, EVICTING)
    evicts = mayEvict
  }

  const beginEpoch = (beat: Beat): void => {
    const isFirst = asOfUs === null
    epoch = beat.epoch
    position = START
    held = heldOf(epoch, position)
    inFeed = new Set()
    withdrawn = new Set()
    table.setEpoch(epoch)
    mustRepublish = true
    // Others may know marks that were lost with what was there before.
    if (isFirst) settling = { untilServerMs: beat.sinceMs + maxStaleMs }
    else if (isHeard)
      log.warn(
        { epoch },
        'the revocation feed began anew; all grants are void, and marks are published again',
      )
  }

  const readOn = async (): Promise<void> => {
    for (let more = PAGE; more === PAGE; ) {
      const entries = readEntries(
        await link.call('XRANGE', keys.marks, `(${position}`, '+', 'COUNT', PAGE),
        mac,
      )
      takeEntries(entries)
      more = entries.length
    }
  }

  const republish = async (): Promise<void> => {
    // Before, since a mark that cannot be published may come meanwhile.
    mustRepublish = false
    try {
      const missing = table.marks().filter(({ id, expiresAtMs }) => !inFeed.has(id) && expiresAtMs > nowMs())
      for (let from = 0; from < missing.length; from += ADDED_TOGETHER) {
        const some = missing.slice(from, from + ADDED_TOGETHER).map((mark) => ({ mark }))
        const places = await addEntries(place, some, ({ mark }) => mostMarks(mark, options.maxMarks))
        const full = some.filter((_, index) => places[index] === 'full')
        for (const { mark } of full) log.error({ mark: mark.id }, 'the revocation feed is full')
      }
      // What was added has a position now, which voids what was decided before it.
      await readOn()
    } catch (error) {
      mustRepublish = true
      throw error
    }
  }

  const beat = (): Promise<string | null> => {
    beating ??= oneBeat()
      .catch((error: unknown) => (error instanceof Error ? error.message : String(error)))
      .then((outcome) => {
        if (outcome !== null) toldHeld = ''
        beating = null
        wrong = outcome
        return outcome
      })
    return beating
  }

  const tell = async (): Promise<void> => {
    // One that is under way may say where it was before.
    while (toldHeld !== held && (await beat()) === null);
  }

  /** Those heard of lately, and how many of them have come as far. */
  const countReplicas = (at: Position): Published['replicas'] => ({
    known: replicas.length,
    applied: replicas.filter((each) => each.id === self || hasComeTo(each, epoch, at)).length,
  })

  const appliedBy = async (at: Position): Promise<Published['replicas']> => {
    let counted = { known: 1, applied: 1 }
    for (let time = 0; time < APPLIED_WAITS.times; time += 1) {
      if ((await beat()) === null) {
        counted = countReplicas(at)
        if (counted.applied >= counted.known) return counted
      }
      await options.pause(APPLIED_WAITS.ms)
    }
    return counted
  }

  const publish = async (
    draft: Parameters<RevocationFeed['publish']>[0],
    insists = false,
  ): Promise<Published | NotPublished> => {
    if (asOfUs === null && !insists)
      return { failed: `the revocation feed has not been heard yet: ${wrong ?? 'it is being asked'}` }
    const issuedAtMs = Math.ceil(Math.max(clock.nowMs(), nowMs()))
    const mark = markOf(draft, `${issuedAtMs}-${randomInt(1, 2 ** 46)}`, issuedAtMs, options.markLifeMs)
    const most = mostMarks(mark, options.maxMarks)
    try {
      const at = await addSurely({ mark }, most)
      if (at === 'full') return { failed: `${most} marks are in force` }
      options.onPublished('published', mark, mark.by)
      const known = await appliedBy(at)
      const isApplied = comparePositions(position, at) >= 0
      // It is in the feed: whatever else fails, it is in force here.
      if (!isApplied) takeEntriesOf(mark)
      const doubt =
        freshness() === 'fresh'
          ? {}
          : { warning: 'the revocation feed is not fresh: others may not have heard it' }
      return { mark, replicas: known, ...doubt }
    } catch (error) {
      if (insists && table.size() < most) return publishLater(mark)
      return notSure({ mark }, error, () => options.onPublished('published', mark, mark.by))
    }
  }

  const publishLater = (mark: Mark): Published => {
    takeEntriesOf(mark)
    mustRepublish = true
    options.onPublished('published', mark, mark.by)
    const warning = 'the revocation feed is out of reach: others hear of it when that is back'
    return { mark, replicas: { known: 1, applied: 1 }, warning }
  }

  const takeEntriesOf = (mark: Mark): void => {
    if (table.has(mark.id)) return
    table.apply(mark, position)
    listeners.tell(mark)
  }

  const status = (): FeedStatus => ({
    freshness: freshness(),
    staleMs: staleMs(),
    position: held,
    marks: table.size(),
    applied,
    unready: unready(),
  })

  const unready = (): string | null => {
    if (evicts) return EVICTING
    if (asOfUs === null) return 'the revocation feed has not been heard yet'
    if (settling !== null && nowMs() < settling.untilServerMs) return 'the revocation feed has just begun'
    settling = null
    return null
  }

  return {
    beat,
    tell,
    take: (reply) => takeEntries(readEntries(reply, mac)),
    streamKey: keys.marks,
    adopt: (marks) => {
      for (const mark of marks) {
        if (table.has(mark.id) || withdrawn.has(mark.id)) continue
        table.apply(mark, START)
        mustRepublish = true
      }
    },
    evicts: () => evicts,
    heardUs: () => asOfUs,
    isHeard: () => isHeard,
    freshness,
    position: () => held,
    changes: table.changes,
    voids: table.voids,
    refuses: (identity) => table.refuses(identity, nowMs()),
    publish,
    withdraw: async (id, by) => {
      const mark = table.marks().find((each) => each.id === id)
      if (mark === undefined) return null
      const entry = { withdrawn: id, by, expiresAtMs: mark.expiresAtMs }
      try {
        const at = await addSurely(entry)
        if (at === 'full') return { failed: 'the revocation feed is full' }
      } catch (error) {
        return notSure(entry, error, () => options.onPublished('withdrawn', mark, by))
      }
      withdrawn.add(id)
      table.withdraw(id)
      options.onPublished('withdrawn', mark, by)
      return { mark }
    },
    list: () => {
      table.forget(nowMs())
      return table.marks()
    },
    onMark: listeners.add,
    status,
    close: () => link.close(),
  }
}

export const EVICTING =
  'this Redis may evict the revocation feed: set its maxmemory-policy to noeviction or volatile-ttl'
