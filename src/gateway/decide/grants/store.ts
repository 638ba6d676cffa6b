import type { Decision } from '../../../core/decision.ts'
import type { SharedWait } from '../../../core/shared-wait.ts'
import type { GrantFacts } from '../revocations/mark-table.ts'
import type { Held } from '../revocations/position.ts'

/** A decision that is kept: an allow, or for as long as `denyTtl` says a deny. */
export interface Grant {
  /** The derived key; see `grantKey`. */
  readonly id: string
  /** What a hit answers, ready made; its source is `grant`. */
  readonly decision: Decision
  /** Wall clock. Never later than the credential's end. */
  readonly expiresAtMs: number
  /** How long it lives from when the engine was asked, whatever becomes of the wall clock. */
  readonly lifeMs: number
  /** Of the revocation feed, before the engine was asked: a mark that came later may void it. */
  readonly held: Held
  readonly facts: GrantFacts
}

/** Counts since the store was made. */
export interface GrantStats {
  /** Grants that are kept now; some may have ended and not been looked for since. */
  readonly entries: number
  readonly hits: number
  readonly misses: number
}

export type IndexKind = 'subject' | 'task' | 'resource'

/** By what shared grants can be found. */
export type SharedFilter = IndexKind | 'grant'

export type FindShared = (kind: SharedFilter, name: string) => Promise<readonly Grant[] | null>

/**
 * Tells others in what context a grant was asked for, and finds those that were bound to another one.
 *
 * @param about  whose and on what.
 * @param values of the context, in what the grant is bound to.
 * @returns ids of grants that others made in another context; none also when they cannot be asked. Never rejects.
 */
export type SwapContext = (
  about: string,
  values: string,
  grant: string,
  lifeMs: number,
) => Promise<readonly string[]>

/** Counts since the start. */
export interface SharedStats {
  readonly hits: number
  readonly misses: number
  /** No answer, in time or at all. */
  readonly failures: number
  /** Not asked, since Redis did not answer just before. */
  readonly skipped: number
}

/** Where grants are kept. */
export interface GrantStore {
  /** What is decided by it is only to be looked at. */
  readonly isReadOnly?: true
  /** A live grant of this process, at once. */
  readonly get: (id: string) => Grant | undefined
  readonly put: (grant: Grant) => void
  readonly delete: (id: string) => void
  /** Live grants of this process, in no order. */
  readonly list: () => readonly Grant[]
  /** Of what is kept in this process. */
  readonly stats: () => GrantStats
  /**
   * A live grant that another process made; asked when `get` has none, before the engine is.
   * A store that cannot be reached has none. Not there when nothing is shared.
   */
  readonly getShared?: (id: string, signal: AbortSignal, wait: SharedWait) => Promise<Grant | undefined>
  /** The longest that `getShared` takes, and that one request waits for all that is shared; default 50. */
  readonly sharedTimeoutMs?: number
  /** Keeps one here that the others have already. */
  readonly keep?: (grant: Grant) => void
  /** What is shared about a subject, task or resource, bounded; null when it cannot be reached. Not there when nothing is shared. */
  readonly findShared?: FindShared
  /** Not there when nothing is shared. */
  readonly swapContext?: SwapContext
  readonly sharedStats?: () => SharedStats
  readonly close?: () => void
}
