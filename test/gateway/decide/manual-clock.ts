import type { Clock } from '../../../src/core/clock.ts'

/** A clock that stands still until it is moved. */
export interface ManualClock extends Clock {
  /** Time passes. */
  readonly pass: (ms: number) => void
  /** Somebody sets the wall clock. */
  readonly setWall: (ms: number) => void
}

export const START_MS = Date.UTC(2026, 10, 24)

export const manualClock = (): ManualClock => {
  let wallMs = START_MS
  let monotonicMs = 5_000
  return {
    nowMs: () => wallMs,
    monotonicUs: () => monotonicMs * 1000,
    pass: (ms) => {
      wallMs += ms
      monotonicMs += ms
    },
    setWall: (ms) => {
      wallMs = ms
    },
  }
}
