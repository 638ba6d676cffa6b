/** Upper bounds in seconds: from a grant in memory to a slow application. */
const BOUNDS_SECONDS = [
  0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
  10,
] as const

/** Counts durations without making anything at each: what is shown is made when it is asked for. */
export interface DurationTally {
  readonly observe: (durationUs: number) => void
  readonly read: () => {
    /** How many were at most so long, by upper bound in seconds. */
    readonly buckets: readonly (readonly [leSeconds: number, count: number])[]
    readonly count: number
    readonly sumSeconds: number
  }
}

export const createDurationTally = (): DurationTally => {
  const boundsUs = Float64Array.from(BOUNDS_SECONDS, (bound) => bound * 1e6)
  const counts = new Float64Array(BOUNDS_SECONDS.length + 1)
  let sumUs = 0
  return {
    observe: (durationUs) => {
      let bucket = 0
      while (bucket < boundsUs.length && durationUs > (boundsUs[bucket] ?? 0)) bucket += 1
      counts[bucket] = (counts[bucket] ?? 0) + 1
      sumUs += durationUs
    },
    read: () => {
      let count = 0
      const buckets = BOUNDS_SECONDS.map((bound, index) => {
        count += counts[index] ?? 0
        return [bound, count] as const
      })
      return { buckets, count: count + (counts[BOUNDS_SECONDS.length] ?? 0), sumSeconds: sumUs / 1e6 }
    },
  }
}
