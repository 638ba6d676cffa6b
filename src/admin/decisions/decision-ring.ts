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
const MAX_BYTES = 16 << 20
/** A UTF-16 unit is never more bytes of UTF-8. */
const MOST_BYTES_OF_A_UNIT = 3

/**
 * Keeps the latest records in memory, bounded by count and size; the oldest go first.
 *
 * @param maxBytes of all lines together, as UTF-8; a longer line is kept alone.
 */
export const createDecisionRing = ({ maxRecords = MAX_RECORDS, maxBytes = MAX_BYTES } = {}): DecisionRing => {
  // Not as strings: each of them would outlive the young generation, and it is they that would fill the old one, so
  // that all of the heap had to be looked through for them again and again. Pages are taken only as they are written.
  let bytes = Buffer.allocUnsafeSlow(maxBytes)
  const starts = new Uint32Array(maxRecords)
  const lengths = new Uint32Array(maxRecords)
  const redactions: (Redact | null)[] = []
  const listeners = new Set<() => void>()
  let start = 0
  let end = 0
  /** Where the next line goes; the lines before it are the latest. */
  let free = 0

  const dropOldest = (): void => {
    redactions[start % maxRecords] = null
    start += 1
  }

  /** Drops what stands there, and what stands nowhere but there: lines stand in the order of their numbers. */
  const clear = (from: number, to: number): void => {
    while (start < end) {
      const at = starts[start % maxRecords] ?? 0
      if (at >= to || at + (lengths[start % maxRecords] ?? 0) <= from) return
      dropOldest()
    }
  }

  /** A place for so many bytes, none of which is of a line that is left. */
  const makeRoom = (length: number): number => {
    if (length > maxBytes || bytes.length > maxBytes) {
      while (start < end) dropOldest()
      bytes = Buffer.allocUnsafeSlow(Math.max(length, maxBytes))
      return 0
    }
    if (free + length <= bytes.length) {
      clear(free, free + length)
      return free
    }
    clear(free, bytes.length)
    clear(0, length)
    return 0
  }

  return {
    push: (line, redact) => {
      if (end - start === maxRecords) dropOldest()
      let at = free
      let length: number
      if (free + line.length * MOST_BYTES_OF_A_UNIT <= bytes.length) {
        // Its bytes need not be counted first; whose place they took is known only then.
        length = bytes.write(line, at)
        clear(at, at + length)
      } else {
        length = Buffer.byteLength(line)
        at = makeRoom(length)
        bytes.write(line, at)
      }
      const slot = end % maxRecords
      starts[slot] = at
      lengths[slot] = length
      redactions[slot] = redact
      free = at + length
      end += 1
      for (const listener of listeners) listener()
    },
    start: () => start,
    end: () => end,
    at: (number) => {
      if (number < start || number >= end) return undefined
      const slot = number % maxRecords
      const at = starts[slot] ?? 0
      const line = bytes.toString('utf8', at, at + (lengths[slot] ?? 0))
      return { line, redact: redactions[slot] ?? null }
    },
    find: (id) => {
      // How every record begins, so that none has to be parsed.
      const beginning = Buffer.from(`{"v":1,"id":${JSON.stringify(id)},`)
      for (let number = end - 1; number >= start; number -= 1) {
        const slot = number % maxRecords
        const at = starts[slot] ?? 0
        if (beginning.length > (lengths[slot] ?? 0)) continue
        if (beginning.compare(bytes, at, at + beginning.length) === 0) return number
      }
      return null
    },
    subscribe: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
