import type { Bound, Decision } from './decision.ts'
import type { Identity } from './identity.ts'
import type { Refusal } from './refusals.ts'
import type { RequestFacts } from './request.ts'
import type { Route } from './route.ts'
import type { StreamEnd } from './stream.ts'

/** A mark that was published or withdrawn. */
export interface RecordedMark {
  readonly what: 'published' | 'withdrawn'
  readonly id: string
  readonly kind: string
  /** Empty when it is about all. */
  readonly target: string
  readonly effect: 'grants' | 'credentials'
  readonly reason: string
  /** Who did it. */
  readonly by: string
  readonly expiresAtMs: number
}

/** A record that may still be on its way to the log: nothing goes out for its request before it is there. */
export interface HeldRecord {
  /** Writes it, if that was not done yet. True, or why it could not be kept; the same each time. */
  readonly settle: () => true | Refusal
}

/** One that was written at once. */
export const RECORDED: HeldRecord = { settle: () => true }

/** All that is known when a decision is recorded; a stage that was not reached left its part null. */
export interface RecordEntry {
  /** The decision id; the request's own id but for a later record of the same request. */
  readonly id: string
  /** Id of the earlier record of this request, when what it allowed then failed. */
  readonly follows?: string | undefined
  readonly outcome: Decision | Refusal
  /** True when the outcome was no allow, and the request was forwarded all the same: `mode: observe`. */
  readonly observed?: boolean
  /** For one line that stands for many refusals. */
  readonly coalesced?: { readonly count: number; readonly sinceMs: number }
  readonly request: RequestFacts
  readonly route: Route | null
  readonly identity: Identity | null
  readonly bound: Bound | null
  readonly latencyUs: Readonly<Record<string, number>>
  /** What this record is about, if not about a request; it allows nothing. */
  readonly mark?: RecordedMark
  /** How what was let through has ended; only in a record that follows another. */
  readonly stream?: StreamEnd | undefined
}
