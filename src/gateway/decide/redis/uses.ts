import type { SharedUse } from '../../../core/shared-uses.ts'
import type { RedisLink } from './link.ts'

/** Remembers uses as keys of a Redis, each until it ends. */
export interface RedisUses {
  /** See `SharedUses`. */
  readonly use: (kind: string, key: string, forMs: number) => Promise<SharedUse>
}

/** By which the clocks of two gateways may differ: what is too old for one of them may not be for the other. */
const SKEW_MS = 60_000

export const createRedisUses = ({
  link,
  keyPrefix,
}: {
  readonly link: Pick<RedisLink, 'call'>
  readonly keyPrefix: string
}): RedisUses => ({
  use: async (kind, key, forMs) => {
    const lifeMs = Math.max(1, Math.ceil(forMs)) + SKEW_MS
    try {
      const reply = await link.call('SET', `${keyPrefix}u:${kind}:${key}`, '1', 'NX', 'PX', lifeMs)
      return reply === 'OK' ? 'first' : reply === null ? 'used' : 'unavailable'
    } catch {
      // It may have been written all the same: whoever asks again is then told that it was used.
      return 'unavailable'
    }
  },
})
