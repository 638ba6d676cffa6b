import type { JsonObject } from '../../core/json.ts'

/** What became of a recorded request under the draft. */
export const OUTCOMES = [
  'newlyAllowed',
  'newlyDenied',
  'unmapped',
  'changed',
  'unchanged',
  'undecidable',
] as const

export type Outcome = (typeof OUTCOMES)[number]

/** One recorded decision, decided again. */
export interface Verdict {
  readonly outcome: Outcome
  /** Why nothing can be said, or what has changed; on one line. */
  readonly reason: string | null
  /** The route of the draft, or else the recorded one. */
  readonly route: string | null
  /** Policies that determine the decision under the draft, or else determined it. */
  readonly policies: readonly string[]
  /** `Type::id`. */
  readonly subject: string | null
  /** How the draft decides; null when it cannot be told. */
  readonly decision: 'allow' | 'deny' | null
  readonly code: string | null
  /** True for an unmapped request that had a route when it was recorded. */
  readonly wasMapped: boolean
  /** True when only the determining policies are others. */
  readonly otherReasons: boolean
}

/** A parsed line of a decision log. */
export type RecordedDecision = JsonObject
