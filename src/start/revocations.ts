import { setTimeout as wait } from 'node:timers/promises'
import type { Configuration } from '../config/configuration.ts'
import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import { createRedisLink } from '../gateway/decide/redis/link.ts'
import { createMac } from '../gateway/decide/redis/mac.ts'
import type { RedisSettings } from '../gateway/decide/redis/settings.ts'
import { BLOCK_MS, driveFeed } from '../gateway/decide/revocations/drive-feed.ts'
import type { OnPublished, RevocationFeed } from '../gateway/decide/revocations/feed.ts'
import { createLocalFeed } from '../gateway/decide/revocations/local-feed.ts'
import type { Mark } from '../gateway/decide/revocations/mark.ts'
import { type MarkFile, openMarkFile } from '../gateway/decide/revocations/mark-file.ts'
import type { MarkPeers } from '../gateway/decide/revocations/mark-peers.ts'
import { createRedisFeed, EVICTING, type RedisFeed } from '../gateway/decide/revocations/redis-feed.ts'
import { createSwitchFeed } from '../gateway/decide/revocations/switch-feed.ts'
import type { Unsure } from '../gateway/decide/revocations/unsure.ts'

/** What the estate has of revocations: one feed all the life of the process, whatever is behind it. */
export interface Revocations {
  readonly feed: RevocationFeed
  /** Opens what a configuration says, beside what is there. */
  readonly prepare: (
    configuration: Pick<Configuration, 'revocation' | 'redis'>,
  ) => Promise<PreparedFeed | { readonly failed: string }>
  /** Who is told of what was published here. */
  readonly recordBy: (record: OnPublished) => void
  readonly close: () => void
}

/** One of the two is to be called, once. */
export interface PreparedFeed {
  /** Puts it in the place of what is there, whose marks stay in force. */
  readonly commit: () => void
  readonly discard: () => void
}

type Settings = Configuration['revocation']

const UNCHANGED: PreparedFeed = { commit: () => undefined, discard: () => undefined }
/** How long the first heartbeat may take before it is gone on without. */
const FIRST_BEAT_MS = 3_000
const FIRST_RETRY_MS = 20
/** A quarter of what may be missing. */
const BEATS_PER_STALE = 4
const LINK_TIMEOUT_MS = { least: 200, most: 1_000 }

export const createRevocations = ({
  clock,
  log,
  peers,
}: {
  readonly clock: Clock
  readonly log: Log
  /** Other workers; then the file is not this process's to write. */
  readonly peers?: MarkPeers
}): Revocations => {
  let record: OnPublished = () => undefined
  let running = ''
  let path: string | undefined
  let file: MarkFile | null = null
  let closeRedis: () => void = () => undefined
  let followed: { readonly feed: RedisFeed; readonly place: string } | null = null
  const onPublished: OnPublished = (what, mark, by) => record(what, mark, by)
  const unsure: Unsure = new Map()
  const plain = { clock, log, onPublished, ...(peers === undefined ? {} : { peers }) }
  const fileOf = (wanted: string | undefined) => (peers === undefined ? openOrNone(wanted, clock) : null)
  let before: readonly Mark[] = peers?.known ?? []
  const feed = createSwitchFeed(
    createLocalFeed({ clock, log, onPublished, markLifeMs: 0, maxMarks: 0, file: null, marks: [] }),
    log,
  )

  const prepareLocal = (settings: Settings, wanted: string): PreparedFeed | { readonly failed: string } => {
    const opened = settings.file === path ? file : fileOf(settings.file)
    if (opened !== null && 'failed' in opened) return opened
    return {
      commit: () => {
        const marks = [...feed.list(), ...before]
        before = []
        const inFile = opened === file ? [] : (opened?.marks ?? [])
        if (opened !== file) for (const mark of marks) opened?.add(mark)
        const { markLife, maxMarks } = settings
        const all = [...marks, ...inFile]
        feed.switchTo(createLocalFeed({ ...plain, markLifeMs: markLife, maxMarks, file: opened, marks: all }))
        if (opened !== file) file?.close()
        closeRedis()
        closeRedis = () => undefined
        followed = null
        running = wanted
        path = settings.file
        file = opened
      },
      discard: () => {
        if (opened !== file) opened?.close()
      },
    }
  }

  const prepareRedisFeed = async (
    settings: Settings,
    redis: RedisSettings,
    wanted: string,
  ): Promise<PreparedFeed | { readonly failed: string }> => {
    const place = placeOf(redis)
    const same = followed?.place === place ? followed.feed : null
    const started = startRedisFeed(settings, redis, feed.list(), {
      ...plain,
      unsure,
      heardUs: same?.heardUs() ?? null,
    })
    const wrong = await firstBeat(started.feed)
    const refused = started.feed.evicts()
      ? EVICTING
      : running === ''
        ? null
        : unheard(started.feed, same, wrong)
    if (refused !== null) {
      started.close()
      return { failed: refused }
    }
    if (running !== '') await readiness(started.feed, settings.maxStale)
    return {
      commit: () => {
        // What was published while this was prepared.
        started.feed.adopt(feed.list())
        feed.switchTo(started.feed)
        closeRedis()
        closeRedis = started.close
        followed = { feed: started.feed, place }
        file?.close()
        file = null
        path = undefined
        running = wanted
      },
      discard: started.close,
    }
  }

  return {
    feed,
    prepare: async ({ revocation, redis }) => {
      const wanted = JSON.stringify([revocation, redis?.fingerprint])
      if (wanted === running) return UNCHANGED
      return redis === null
        ? prepareLocal(revocation, wanted)
        : await prepareRedisFeed(revocation, redis, wanted)
    },
    recordBy: (next) => {
      record = next
    },
    close: () => {
      closeRedis()
      file?.close()
      file = null
    },
  }
}

/** Until the feed was heard once, or it is gone on without. @returns what was wrong at last; null: nothing. */
const firstBeat = async (feed: RedisFeed): Promise<string | null> => {
  const deadline = AbortSignal.timeout(FIRST_BEAT_MS)
  const pause = (ms: number) => wait(ms, undefined, { signal: deadline }).catch(() => undefined)
  const isOver = pause(FIRST_BEAT_MS)
  let wrong: string | null = null
  while (!deadline.aborted && !feed.evicts() && !feed.isHeard()) {
    wrong = (await Promise.race([feed.beat(), isOver])) ?? wrong
    if (!feed.isHeard()) await pause(FIRST_RETRY_MS)
  }
  return feed.isHeard() ? null : (wrong ?? 'no answer in time')
}

/**
 * Why an edit must not exchange the feed that there is for one that was not heard; null: it may.
 *
 * While the Redis that there is cannot be heard either, nothing is lost by other settings for the same one: what is
 * known of it, and since when nothing new is, goes over.
 */
const unheard = (next: RedisFeed, same: RedisFeed | null, wrong: string | null): string | null => {
  if (next.isHeard() || (same !== null && same.freshness() !== 'fresh')) return null
  return `the revocation feed in the Redis of this edit cannot be heard (${wrong ?? 'no answer'}), expected one that answers: without it this gateway would not be ready`
}

/** On a Redis that was empty that takes a while, for which whoever serves already need not stop. */
const readiness = async (feed: RedisFeed, maxStaleMs: number): Promise<void> => {
  const deadline = AbortSignal.timeout(maxStaleMs + FIRST_BEAT_MS)
  while (!deadline.aborted && feed.status().unready !== null) {
    await wait(FIRST_RETRY_MS, undefined, { signal: deadline }).catch(() => undefined)
  }
}

/** The same as long as it is the same feed, whatever it is reached by. */
const placeOf = ({ place, keyPrefix, macKey }: RedisSettings): string =>
  JSON.stringify([place, keyPrefix, macKey.toString('base64')])

const startRedisFeed = (
  settings: Settings,
  redis: RedisSettings,
  marks: readonly Mark[],
  {
    clock,
    log,
    onPublished,
    unsure,
    heardUs,
  }: {
    readonly clock: Clock
    readonly log: Log
    readonly onPublished: OnPublished
    readonly unsure: Unsure
    readonly heardUs: number | null
  },
): { readonly feed: RedisFeed; readonly close: () => void } => {
  const { maxStale, failClosedAfter, markLife, maxMarks } = settings
  const { least, most } = LINK_TIMEOUT_MS
  const timeoutMs = Math.max(least, Math.min(most, maxStale / 2))
  const feed = createRedisFeed({
    clock,
    log,
    link: createRedisLink(redis, { timeoutMs, name: 'feed', log, clock }),
    keyPrefix: redis.keyPrefix,
    mac: createMac(redis.macKey),
    maxStaleMs: maxStale,
    failClosedAfterMs: failClosedAfter,
    markLifeMs: markLife,
    maxMarks,
    minReplicas: redis.minReplicas,
    marks,
    heardUs,
    unsure,
    onPublished,
    pause: (ms) => wait(ms, undefined, { ref: false }),
  })
  const reader = createRedisLink(redis, { timeoutMs: BLOCK_MS + most, name: 'marks', log, clock })
  const driver = driveFeed({ feed, reader, everyMs: maxStale / BEATS_PER_STALE, log })
  return {
    feed,
    close: () => {
      driver.close()
      void feed.close()
    },
  }
}

const openOrNone = (path: string | undefined, clock: Clock) =>
  path === undefined ? null : openMarkFile(path, clock.nowMs())
