import type { SharedUse, SharedUses } from '../../../core/shared-uses.ts'
import type { RedisLink } from './link.ts'

/** Remembers uses as keys of a Redis, each until it ends. */
export interface RedisUses extends SharedUses {
  readonly use: (...args: Parameters<SharedUses['use']>) => Promise<SharedUse>
}

/** By which the clocks of two gateways may differ: what is too old for one of them may not be for the other. */
const SKEW_MS = 60_000

export const createRedisUses = ({
  link,
  keyPrefix,
}: {
  readonly link: Pick<RedisLink, 'within'>
  readonly keyPrefix: string
}): RedisUses => {
  const keyOf = (kind: string, key: string): string => `${keyPrefix}u:${kind}:${key}`
  const lifeOf = (forMs: number): number => Math.max(1, Math.ceil(forMs)) + SKEW_MS
  return {
    use: async (kind, key, forMs, wait) => {
      try {
        const reply = await link.within(wait).call('SET', keyOf(kind, key), '1', 'NX', 'PX', lifeOf(forMs))
        return reply === 'OK' ? 'first' : reply === null ? 'used' : 'unavailable'
      } catch {
        // It may have been written all the same: whoever asks again is then told that it was used.
        return 'unavailable'
      }
    },
    wasUsed: (kind, key, wait) =>
      link
        .within(wait)
        .call('EXISTS', keyOf(kind, key))
        .then(
          (count) => count === 1,
          () => false,
        ),
    remember: (kind, key, forMs, wait) =>
      link
        .within(wait)
        .call('SET', keyOf(kind, key), '1', 'PX', lifeOf(forMs))
        .then(
          () => undefined,
          () => undefined,
        ),
  }
}
