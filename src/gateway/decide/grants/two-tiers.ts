import type { SharedGrants } from './redis-grants.ts'
import type { GrantStore, SwapContext } from './store.ts'

/** Grants of this process first, and behind them those that all gateways share. */
export const createTwoTiers = (
  memory: GrantStore,
  shared: SharedGrants,
  { swapContext, sharedTimeoutMs }: { readonly swapContext?: SwapContext; readonly sharedTimeoutMs: number },
): GrantStore => ({
  ...memory,
  put: (grant) => {
    memory.put(grant)
    shared.put(grant)
  },
  keep: memory.put,
  getShared: (id, _signal, wait) => shared.get(id, wait),
  sharedTimeoutMs,
  ...(swapContext === undefined ? {} : { swapContext }),
  findShared: shared.find,
  sharedStats: shared.stats,
  close: shared.close,
})
