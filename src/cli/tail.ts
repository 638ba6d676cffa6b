import type { DecisionFilter, FilterTexts } from '../admin/decisions/decision-filter.ts'
import type { JsonObject } from '../core/json.ts'

/** What is wanted of decisions, wherever they come from. */
export interface Tail {
  readonly filter: DecisionFilter
  /** As they were written. */
  readonly texts: FilterTexts
  readonly lines: number
  readonly follow: boolean
  readonly onDecision: (record: JsonObject) => void
  /** Something that is no decision, for people. */
  readonly onNote: (text: string) => void
  /** Aborted when it is to end. */
  readonly signal: AbortSignal
}
