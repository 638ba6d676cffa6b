import type { Clock } from '../../../core/clock.ts'
import type { Decision } from '../../../core/decision.ts'
import type { SharedWait } from '../../../core/shared-wait.ts'
import { isRedisFailure } from '../redis/failure.ts'
import type { RedisLink } from '../redis/link.ts'
import type { Mac } from '../redis/mac.ts'
import type { FindShared, Grant, IndexKind, SharedFilter, SharedStats } from './store.ts'

/** Grants that other gateways made, and that they find here. */
export interface SharedGrants {
  /**
   * Undefined also when Redis does not answer in time, or what it has is not from a gateway. Never rejects.
   *
   * @param wait of the request that asks; left out: of none.
   */
  readonly get: (id: string, wait?: SharedWait) => Promise<Grant | undefined>
  /** Waits for nothing. What cannot be kept is not. */
  readonly put: (grant: Grant) => void
  /**
   * The grant of this id, or those about one subject, task or resource as its index has them; of those that end last
   * 1000 at most. Null when Redis does not answer for all of them. Never rejects.
   */
  readonly find: FindShared
  readonly stats: () => SharedStats
  readonly close: () => void
}

const MAX_IN_FLIGHT = 512
const FAILURES_TO_OPEN = 3
const OPEN_MS = 500
const INDEX_SIZE = 1000
const MAX_INDEXED = 8
/** Grants that are fetched together when they are listed, far from what requests may have under way. */
const AT_ONCE = 32

/** KEYS: index. ARGV: id, when it ends (ms), now (ms), how many at most, how long it lives (ms). */
const INDEX = `
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[4])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[5]) then redis.call('PEXPIRE', KEYS[1], ARGV[5]) end
`

type Kept = readonly [decision: Decision, expiresAtMs: number, held: string, facts: Grant['facts']]

/**
 * Grants as keys of a Redis, each with its own end and a MAC, so that writing there makes no grant.
 *
 * A command that is not answered in time is one failure; after some the Redis is left alone for half a second.
 */
export const createRedisGrants = (options: {
  readonly link: RedisLink
  readonly keyPrefix: string
  readonly mac: Mac
  readonly clock: Clock
}): SharedGrants => {
  const { link, keyPrefix, mac, clock } = options
  const stats = { hits: 0, misses: 0, failures: 0, skipped: 0 }
  let inFlight = 0
  let failuresInRow = 0
  let openUntilUs = 0

  const guarded = async <T>(work: () => Promise<T>): Promise<T | undefined> => {
    if (inFlight >= MAX_IN_FLIGHT || clock.monotonicUs() < openUntilUs) {
      stats.skipped += 1
      return undefined
    }
    inFlight += 1
    try {
      const value = await work()
      failuresInRow = 0
      return value
    } catch (error) {
      // That says nothing of the Redis.
      if (isRedisFailure(error, 'REDIS_WAIT_OVER')) {
        stats.skipped += 1
        return undefined
      }
      stats.failures += 1
      failuresInRow += 1
      if (failuresInRow >= FAILURES_TO_OPEN) openUntilUs = clock.monotonicUs() + OPEN_MS * 1000
      return undefined
    } finally {
      inFlight -= 1
    }
  }

  const keyOf = (id: string): string => `${keyPrefix}g:${id}`
  const indexOf = (kind: IndexKind, name: string): string =>
    `${keyPrefix}i:${kind}:${mac.sign('index', name)}`

  const fetched = async (id: string, wait?: SharedWait): Promise<Grant | undefined> => {
    const [text, leftMs] = await link.within(wait).batch([
      ['GET', keyOf(id)],
      ['PTTL', keyOf(id)],
    ])
    if (typeof text !== 'string') return undefined
    return grantOf(id, text, Number(leftMs), mac, clock)
  }

  const index = (grant: Grant): void => {
    const { subject, task, resources } = grant.facts
    const about: (readonly [IndexKind, string])[] = [['subject', subject]]
    if (task !== undefined) about.push(['task', task])
    for (const resource of resources.slice(0, MAX_INDEXED)) about.push(['resource', resource])
    const nowMs = clock.nowMs()
    for (const [kind, name] of about) {
      const args = [grant.id, nowMs + grant.lifeMs, nowMs, INDEX_SIZE, grant.lifeMs]
      void guarded(() => link.call('EVAL', INDEX, 1, indexOf(kind, name), ...args))
    }
  }

  /** Null: no answer. */
  const idsOf = async (kind: SharedFilter, name: string): Promise<readonly string[] | null> => {
    if (kind === 'grant') return [name]
    const ids = await guarded(() => link.call('ZREVRANGE', indexOf(kind, name), 0, INDEX_SIZE - 1))
    return Array.isArray(ids) ? ids.map(String) : null
  }

  return {
    get: async (id, wait) => {
      const failures = stats.failures + stats.skipped
      const grant = await guarded(() => fetched(id, wait))
      if (grant !== undefined) stats.hits += 1
      else if (stats.failures + stats.skipped === failures) stats.misses += 1
      return grant
    },
    put: (grant) => {
      const { id, decision, expiresAtMs, held, facts } = grant
      const lifeMs = Math.floor(grant.lifeMs)
      if (!(lifeMs > 0)) return
      const kept: Kept = [decision, expiresAtMs, held, facts]
      const text = JSON.stringify(kept)
      const value = `${mac.sign(`grant ${id}`, text)}.${text}`
      void guarded(() => link.call('SET', keyOf(id), value, 'PX', lifeMs))
      index({ ...grant, lifeMs })
    },
    find: async (kind, name) => {
      const ids = await idsOf(kind, name)
      if (ids === null) return null
      const found: Grant[] = []
      for (let from = 0; from < ids.length; from += AT_ONCE) {
        const some = ids.slice(from, from + AT_ONCE).map((id) => guarded(async () => [await fetched(id)]))
        for (const answer of await Promise.all(some)) {
          if (answer === undefined) return null
          const [grant] = answer
          if (grant !== undefined) found.push(grant)
        }
      }
      return found
    },
    stats: () => ({ ...stats }),
    close: link.close,
  }
}

const grantOf = (id: string, text: string, leftMs: number, mac: Mac, clock: Clock): Grant | undefined => {
  const dot = text.indexOf('.')
  const payload = text.slice(dot + 1)
  if (!(leftMs > 0) || !mac.isGood(`grant ${id}`, payload, text.slice(0, dot))) return undefined
  // The MAC says that a gateway of this version wrote it.
  const [decision, expires, held, facts] = JSON.parse(payload) as Kept
  const expiresAtMs = Math.min(expires, clock.nowMs() + leftMs)
  const lifeMs = expiresAtMs - clock.nowMs()
  const grant = decision.grant === undefined ? undefined : { ...decision.grant, expiresAtMs }
  const served: Decision = { ...decision, ...(grant === undefined ? {} : { grant }) }
  return { id, decision: deepFreeze(served), expiresAtMs, lifeMs, held, facts }
}

const deepFreeze = <T>(value: T): T => {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const held of Object.values(value)) deepFreeze(held)
  }
  return value
}
