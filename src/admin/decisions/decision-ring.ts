import type { JsonObject } from '../../core/json.ts'

/** Replaces what must not be shown; the same object when there is nothing of the kind. */
export type Redact = (record: JsonObject) => JsonObject

export interface RingEntry {
  /** The record as JSON, before anything was redacted. */
  readonly line: string
  /** As it was when the record was made; null: nothing is redacted. */
  readonly redact: Redact | null
}

/** The latest records of this process, numbered in the order in which they were made. */
export interface DecisionRing {
  /** Costs next to nothing: nothing is parsed, redacted or sent here. */
  readonly push: (line: string, redact: Redact | null) => void
  /** Number of the oldest record that is left. */
  readonly start: () => number
  /** Number that the next record will have. */
  readonly end: () => number
  readonly at: (number: number) => RingEntry | undefined
  /** Number of the record with this id; null when it is not here any more, or never was. */
  readonly find: (id: string) => number | null
  /** Calls back after each record, and must return at once; the result stops that. */
  readonly subscribe: (listener: () => void) => () => void
}

const MAX_RECORDS = 10_000
const MAX_CHARACTERS = 16 << 20

/**
 * Keeps the latest records in memory, bounded by count and size; the oldest go first.
 *
 * @param maxCharacters of all lines together; a longer line is kept alone.
 */
export const createDecisionRing = ({
  maxRecords = MAX_RECORDS,
  maxCharacters = MAX_CHARACTERS,
} = {}): DecisionRing => {
  const lines: string[] = []
  const redactions: (Redact | null)[] = []
  const listeners = new Set<() => void>()
  let start = 0
  let end = 0
  let characters = 0

  const dropOldest = (): void => {
    const slot = start % maxRecords
    characters -= lines[slot]?.length ?? 0
    lines[slot] = ''
    redactions[slot] = null
    start += 1
  }

  const at = (number: number): RingEntry | undefined => {
    if (number < start || number >= end) return undefined
    const slot = number % maxRecords
    return { line: lines[slot] ?? '', redact: redactions[slot] ?? null }
  }

  return {
    push: (line, redact) => {
      if (end - start === maxRecords) dropOldest()
      const slot = end % maxRecords
      lines[slot] = line
      redactions[slot] = redact
      end += 1
      characters += line.length
      while (characters > maxCharacters && end - start > 1) dropOldest()
      for (const listener of listeners) listener()
    },
    start: () => start,
    end: () => end,
    at,
    find: (id) => {
      // How every record begins, so that none has to be parsed.
      const beginning = `{"v":1,"id":${JSON.stringify(id)},`
      for (let number = end - 1; number >= start; number -= 1) {
        if (lines[number % maxRecords]?.startsWith(beginning) === true) return number
      }
      return null
    },
    subscribe: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
