import { setTimeout as wait } from 'node:timers/promises'
import type { Configuration } from '../config/configuration.ts'
import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import type { SharedTasks } from '../core/shared-tasks.ts'
import { NOTHING_SHARED, type SharedUses } from '../core/shared-uses.ts'
import { NO_SHARED_VALUES, type SharedValues } from '../core/shared-values.ts'
import { createRedisLink, type RedisLink } from '../gateway/decide/redis/link.ts'
import { createMac } from '../gateway/decide/redis/mac.ts'
import type { RedisSettings } from '../gateway/decide/redis/settings.ts'
import { createRedisTasks, type RedisTasks } from '../gateway/decide/redis/tasks.ts'
import { createRedisUses, type RedisUses } from '../gateway/decide/redis/uses.ts'
import { createRedisValues } from '../gateway/decide/redis/values.ts'
import type { PreparedFeed, Revocations } from './revocations.ts'

/** What gateways remember together besides grants and marks: one all the life of the process, whatever Redis is behind it. */
export interface SharedState {
  readonly uses: SharedUses
  readonly values: SharedValues
  readonly tasks: SharedTasks
  /** Connects to what a configuration names, beside what is there. A Redis out of reach is gone on without. */
  readonly prepare: (redis: RedisSettings | null) => Promise<PreparedFeed>
  readonly close: () => void
}

interface Open {
  readonly link: RedisLink
  readonly uses: RedisUses
  readonly values: SharedValues
  readonly tasks: RedisTasks
  readonly timeoutMs: number
}

const UNCHANGED: PreparedFeed = { commit: () => undefined, discard: () => undefined }
/** How long the first connection may take before it is gone on without. */
const FIRST_CONNECTION_MS = 2_000
const RETRY_MS = 20

/** @param use what the workers of this machine remember together, for as long as there is no Redis. */
export const createSharedState = ({
  clock,
  log,
  use = NOTHING_SHARED.use,
}: {
  readonly clock: Clock
  readonly log: Log
  readonly use?: SharedUses['use']
}): SharedState => {
  let running = ''
  let current: Open | null = null
  const amongWorkers: SharedUses = { ...NOTHING_SHARED, use }
  const uses = (): SharedUses => current?.uses ?? amongWorkers
  const values = (): SharedValues => current?.values ?? NO_SHARED_VALUES
  return {
    values: {
      read: (...read) => values().read(...read),
      write: (...written) => values().write(...written),
      note: (...noted) => values().note(...noted),
      members: (...noted) => values().members(...noted),
      remove: (...removed) => values().remove(...removed),
      claim: (...claimed) => values().claim(...claimed),
      release: (...released) => values().release(...released),
    },
    uses: {
      use: (...use) => uses().use(...use),
      wasUsed: (...use) => uses().wasUsed(...use),
      remember: (...use) => uses().remember(...use),
    },
    tasks: { claim: (...task) => current?.tasks.claim(...task) ?? null },
    prepare: async (redis) => {
      const wanted = redis?.fingerprint ?? ''
      if (wanted === running) return UNCHANGED
      const next = redis === null ? null : open(redis, clock, log)
      if (next !== null) await firstAnswer(next.link)
      return {
        commit: () => {
          if (current !== null) closeLater(current)
          current = next
          running = wanted
        },
        discard: () => next?.link.close(),
      }
    },
    close: () => {
      current?.link.close()
      current = null
    },
  }
}

/** The feed, and what else is shared, of a configuration. */
export const prepareShared = async (
  configuration: Configuration,
  { revocations, shared }: { readonly revocations: Revocations; readonly shared: SharedState },
): Promise<PreparedFeed | { readonly failed: string }> => {
  const [feed, state] = await Promise.all([
    revocations.prepare(configuration),
    shared.prepare(configuration.redis),
  ])
  if ('failed' in feed) {
    state.discard()
    return feed
  }
  return {
    commit: () => {
      feed.commit()
      state.commit()
    },
    discard: () => {
      feed.discard()
      state.discard()
    },
  }
}

const open = (redis: RedisSettings, clock: Clock, log: Log): Open => {
  const timeoutMs = redis.commandTimeoutMs
  const link = createRedisLink(redis, { timeoutMs, name: 'uses', log, clock })
  const place = { link, keyPrefix: redis.keyPrefix }
  return {
    link,
    timeoutMs,
    uses: createRedisUses(place),
    values: createRedisValues(place),
    tasks: createRedisTasks({ ...place, mac: createMac(redis.macKey) }),
  }
}

// Requests may be waiting for an answer of it.
const closeLater = ({ link, timeoutMs }: Open): void => {
  void wait(timeoutMs, undefined, { ref: false }).then(link.close)
}

/** Requests wait for no connection, so that the first ones would be refused without it. */
const firstAnswer = async (link: RedisLink): Promise<void> => {
  const deadline = AbortSignal.timeout(FIRST_CONNECTION_MS)
  const ping = () =>
    link.call('PING').then(
      () => true,
      () => false,
    )
  while (!deadline.aborted && !(await ping())) {
    await wait(RETRY_MS, undefined, { signal: deadline }).catch(() => undefined)
  }
}
