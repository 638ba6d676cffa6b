import type { Bound, Decision } from '../core/decision.ts'
import type { Identity } from '../core/identity.ts'
import type { HeldRecord } from '../core/record-entry.ts'
import type { Refusal } from '../core/refusals.ts'
import type { Accepted } from '../core/request.ts'
import type { StreamEnd, StreamEnder, StreamEndReason, StreamKind, StreamLease } from '../core/stream.ts'

/** What a mark can be about, of a stream. */
export interface StreamFacts {
  readonly identity: Identity
  readonly bound: Bound
  /** Empty: nothing is kept of its decision. */
  readonly grant: string
}

/** A lease, for the pipeline: what is not answered yet has its end in the record of its refusal. */
export interface SupervisedLease extends StreamLease {
  /** How a stream that was cut before its answer has ended; null: it was not. Nothing else is recorded of it then. */
  readonly refused: () => StreamEnd | null
  readonly isLeft: () => boolean
}

/** What was let through, for as long as it lasts. */
export interface Live extends StreamFacts {
  readonly accepted: Accepted
  /** False on a public route, whose streams are nobody's, and for what was only observed. */
  readonly supervised: boolean
  readonly decision: Decision
  readonly decisionId: string
  readonly record: HeldRecord
  readonly openedUs: number
  held: string | undefined
  kind: StreamKind
  bytesIn: number
  bytesOut: number
  nextCheckMs: number
  checks: number
  checking: AbortController | null
  failingSinceMs: number | null
  onCut: ((refusal: Refusal) => void) | null
  cut: Cut | null
  completesTask: boolean
  over: boolean
  /** Where it is among those alive; -1: not there any more. */
  place: number
}

/** Why the gateway ends a stream. */
export interface Cut {
  readonly reason: StreamEndReason
  /** For the caller, if nothing was answered yet. */
  readonly refusal: Refusal
  readonly outcome: Decision | Refusal
}

/** The two ways in which a stream ends. */
export interface End {
  readonly cut: (live: Live, cut: Cut) => void
  readonly over: (live: Live, reason: StreamEndReason) => void
  readonly refused: (live: Live) => StreamEnd | null
}

/** What the way to the application and back holds of what is alive. */
export const leaseOf = (live: Live, end: End): SupervisedLease => new Lease(live, end)

/** A class, since each request has one: functions made anew for each would be collected as often. */
class Lease implements SupervisedLease {
  readonly live: Live
  readonly end: End

  constructor(live: Live, end: End) {
    this.live = live
    this.end = end
  }

  becomes(kind: StreamKind): void {
    this.live.kind = kind
  }

  received(bytes: number): void {
    this.live.bytesIn += bytes
  }

  sent(bytes: number): void {
    this.live.bytesOut += bytes
  }

  onCut(listener: (refusal: Refusal) => void): void {
    const { live } = this
    live.onCut = listener
    if (live.cut !== null) listener(live.cut.refusal)
  }

  completesTask(): void {
    this.live.completesTask = true
  }

  ended(by: StreamEnder): void {
    this.end.over(this.live, by)
  }

  isLeft(): boolean {
    return this.live.kind === 'websocket'
  }

  refused(): StreamEnd | null {
    return this.end.refused(this.live)
  }
}
