import type { Clock } from '../../../core/clock.ts'

/** How an exchange with an engine ended; `neutral`: by what the caller asked, or because nobody waited any more. */
export type Ended = 'success' | 'failure' | 'neutral'

/** Keeps requests from queueing for an engine that is down. */
export interface Breaker {
  /** False when the engine is not to be asked now; otherwise `end` is to be called once. */
  readonly begin: () => boolean
  readonly end: (how: Ended) => void
  readonly isOpen: () => boolean
}

/** Failures in a row after which nobody waits for the engine any more. */
const FAILURES = 5
/** While it is open, one request may try this often; an engine that is back is used again after this time. */
const TRIAL_EVERY_MS = 3000

/**
 * Opens after failures in a row, and then lets one trial through every few seconds; a trial that succeeds closes it.
 *
 * A trial that ends neutral makes room for the next one at once: else callers could hold it open by what they ask.
 */
export const createBreaker = (
  clock: Pick<Clock, 'monotonicUs'>,
  { failures = FAILURES, trialEveryMs = TRIAL_EVERY_MS } = {},
): Breaker => {
  let failed = 0
  let failedAtUs = 0
  let trial = false
  const isOpen = (): boolean => failed >= failures
  return {
    isOpen,
    begin: () => {
      if (!isOpen()) return true
      if (trial || clock.monotonicUs() - failedAtUs < trialEveryMs * 1000) return false
      trial = true
      return true
    },
    end: (how) => {
      trial = false
      if (how === 'success') failed = 0
      if (how !== 'failure') return
      failed += 1
      failedAtUs = clock.monotonicUs()
    },
  }
}
