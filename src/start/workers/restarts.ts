import type { Clock } from '../../core/clock.ts'

/** A worker that lives so long has started well. */
const WELL_MS = 10_000
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5_000
/** So many ends in a row, each soon after its start, are no accident. */
const LOOP_ENDS = 6

/** When the next worker is started in the place of one that has ended. */
export interface Restarts {
  readonly started: () => void
  /** How long to wait before the next start, in milliseconds; null: it makes no sense any more. */
  readonly ended: () => number | null
}

export const createRestarts = (clock: Pick<Clock, 'monotonicUs'>): Restarts => {
  let startedUs = 0
  let quickEnds = 0
  return {
    started: () => {
      startedUs = clock.monotonicUs()
    },
    ended: () => {
      const livedMs = (clock.monotonicUs() - startedUs) / 1000
      quickEnds = livedMs < WELL_MS ? quickEnds + 1 : 0
      if (quickEnds >= LOOP_ENDS) return null
      return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.max(0, quickEnds - 1))
    },
  }
}
