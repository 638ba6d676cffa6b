import type { JsonObject } from '../../core/json.ts'
import { type DecisionFilter, matches, needlesOf } from './decision-filter.ts'
import type { Redact } from './decision-ring.ts'

/** A record as it may be shown. */
export interface ShownDecision {
  readonly id: string
  readonly record: JsonObject
}

/** A line, by text or as it stands in a file. */
interface Line {
  readonly includes: (needle: string) => boolean
  readonly toString: () => string
}

/** Gives the record of a line when it matches, redacted and without the fields of the chain; else null. */
export type ReadDecision = (line: Line, redact: Redact | null) => ShownDecision | null

/** The filter looks at what is shown: nobody learns by it what is redacted. */
export const createDecisionReader = (filter: DecisionFilter): ReadDecision => {
  const needles = needlesOf(filter)
  return (line, redact) => {
    if (redact === null && !needles.every((needle) => line.includes(needle))) return null
    const record = parseRecord(line.toString())
    if (record === null) return null
    const shown = redact === null ? record : redact(record)
    return matches(filter, shown) ? { id: record.id, record: shown } : null
  }
}

/** Null for what is not a record. */
export const parseRecord = (text: string): (JsonObject & { readonly id: string }) | null => {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return null
  }
  if (!isObject(parsed) || parsed.v !== 1 || typeof parsed.id !== 'string' || !isObject(parsed.request)) {
    return null
  }
  const { seq: _seq, prev: _prev, ...record } = parsed
  return { ...record, id: parsed.id }
}

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
