import type { SharedWait } from './shared-wait.ts'

/** What was found of a use that may happen once only; `unavailable` when that cannot be told, so that it must be refused. */
export type SharedUse = 'first' | 'used' | 'unavailable'

/** Remembers uses for all gateways together. */
export interface SharedUses {
  /**
   * Remembers a use, and tells whether it was the first one anywhere.
   *
   * @param kind of use, such as `dpop`; a name of our own.
   * @param key  names the use; the caller bounds its length.
   * @param forMs milliseconds for which it could be tried again.
   * @param wait of the request that asks; left out: of none.
   * @returns null when no memory is shared. Never rejects; ends by the deadline of that request for Redis.
   */
  readonly use: (kind: string, key: string, forMs: number, wait?: SharedWait) => Promise<SharedUse> | null
  /** True when it was remembered; false also when nothing is shared or that cannot be told. Never rejects. */
  readonly wasUsed: (kind: string, key: string, wait?: SharedWait) => Promise<boolean>
  /** Remembers a use without asking whether it was the first one; what cannot be remembered is not. Never rejects. */
  readonly remember: (kind: string, key: string, forMs: number, wait?: SharedWait) => Promise<void>
}

/** Nothing is shared. */
export const NOTHING_SHARED: SharedUses = {
  use: () => null,
  wasUsed: () => Promise.resolve(false),
  remember: () => Promise.resolve(),
}
