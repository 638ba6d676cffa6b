/** Time, passed in so that tests can set it. */
export interface Clock {
  /** Milliseconds since the epoch. */
  readonly nowMs: () => number
  /** Microseconds from an arbitrary origin; never goes back. */
  readonly monotonicUs: () => number
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicUs: () => performance.now() * 1000,
}
