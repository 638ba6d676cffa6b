import type { RedisLink } from '../redis/link.ts'
import type { Mac } from '../redis/mac.ts'
import type { SwapContext } from './store.ts'

const MOST_IN_FLIGHT = 256
const MOST_GRANTS = 64

/**
 * KEYS: the context of one subject and resource. ARGV: its values, a grant that is bound to them, how long that lives (ms),
 * how many grants are known at most. Returns the grants that were bound to other values, of which nothing is kept.
 */
const SWAP = `
local gone = {}
local values = redis.call('HGET', KEYS[1], 'values')
if values and values ~= ARGV[1] then
  for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
    if field ~= 'values' then gone[#gone + 1] = field end
  end
  redis.call('DEL', KEYS[1])
end
redis.call('HSET', KEYS[1], 'values', ARGV[1])
if redis.call('HLEN', KEYS[1]) <= tonumber(ARGV[4]) then redis.call('HSET', KEYS[1], ARGV[2], '1') end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return gone
`

/** What the last context of a subject and resource was, on whichever gateway, as long as what is bound to it may live. */
export const createRedisContexts = ({
  link,
  keyPrefix,
  mac,
}: {
  readonly link: Pick<RedisLink, 'call'>
  readonly keyPrefix: string
  readonly mac: Pick<Mac, 'sign'>
}): SwapContext => {
  let inFlight = 0
  return async (about, values, grant, lifeMs) => {
    if (inFlight >= MOST_IN_FLIGHT) return []
    inFlight += 1
    try {
      const key = `${keyPrefix}c:${mac.sign('context of', about)}`
      const args = [mac.sign('context', values), grant, Math.max(1, Math.ceil(lifeMs)), MOST_GRANTS]
      const gone = await link.call('EVAL', SWAP, 1, key, ...args)
      return Array.isArray(gone) ? gone.map(String).filter((id) => id !== grant) : []
    } catch {
      return []
    } finally {
      inFlight -= 1
    }
  }
}
