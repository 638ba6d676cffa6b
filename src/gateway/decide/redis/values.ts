import type { SharedValues } from '../../../core/shared-values.ts'
import type { RedisLink } from './link.ts'

/** Deletes a key that still holds this. One step, as it may have become somebody else's in between. */
const RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"

const MOST_MEMBERS = 1000

/** Milliseconds since the epoch by the clock of the Redis, since those of the gateways differ. */
const NOW = "local time = redis.call('TIME')\nlocal now = time[1] * 1000 + math.floor(time[2] / 1000)"

/** KEYS: a collection. ARGV: a member, how long it lasts (ms), how many there may be. It ends with its last member. */
const NOTE = `
${NOW}
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[3])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 1
`

/** KEYS: a collection. */
const MEMBERS = `
${NOW}
return redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')
`

/** Keeps values, and who holds what, as keys of a Redis that end by themselves. */
export const createRedisValues = ({
  link,
  keyPrefix,
}: {
  readonly link: Pick<RedisLink, 'within' | 'call'>
  readonly keyPrefix: string
}): SharedValues => {
  const keyOf = (kind: string, key: string): string => `${keyPrefix}v:${kind}:${key}`
  const collectionOf = (kind: string, key: string): string => `${keyPrefix}m:${kind}:${key}`
  const claimOf = (kind: string, key: string): string => `${keyPrefix}c:${kind}:${key}`
  const lifeOf = (forMs: number): number => Math.max(1, Math.ceil(forMs))
  return {
    read: async (kind, key, wait) => {
      try {
        const reply = await link.within(wait).call('GET', keyOf(kind, key))
        return reply === null || typeof reply === 'string' ? { value: reply } : 'unavailable'
      } catch {
        return 'unavailable'
      }
    },
    write: async ({ kind, key, value, forMs }, how, wait) => {
      const condition = how === 'new' ? 'NX' : 'XX'
      try {
        const reply = await link
          .within(wait)
          .call('SET', keyOf(kind, key), value, condition, 'PX', lifeOf(forMs))
        return reply === 'OK' ? 'written' : reply === null ? 'absent' : 'unavailable'
      } catch {
        return 'unavailable'
      }
    },
    note: (kind, key, member, forMs, wait) =>
      link
        .within(wait)
        .call('EVAL', NOTE, 1, collectionOf(kind, key), member, lifeOf(forMs), MOST_MEMBERS)
        .then(
          () => true,
          () => false,
        ),
    members: async (kind, key, wait) => {
      try {
        const reply = await link.within(wait).call('EVAL', MEMBERS, 1, collectionOf(kind, key))
        return Array.isArray(reply) ? reply.map(String) : 'unavailable'
      } catch {
        return 'unavailable'
      }
    },
    remove: (kind, key, wait) =>
      link
        .within(wait)
        .call('DEL', keyOf(kind, key))
        .then(
          () => true,
          () => false,
        ),
    claim: async (kind, key, owner, forMs, wait) => {
      try {
        const reply = await link
          .within(wait)
          .call('SET', claimOf(kind, key), owner, 'NX', 'PX', lifeOf(forMs))
        return reply === 'OK' ? 'mine' : reply === null ? 'taken' : 'unavailable'
      } catch {
        // It may be taken all the same, and ends by itself.
        return 'unavailable'
      }
    },
    release: (kind, key, owner) =>
      link.call('EVAL', RELEASE, 1, claimOf(kind, key), owner).then(
        () => undefined,
        () => undefined,
      ),
  }
}
