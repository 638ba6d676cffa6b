import type { Stages } from '../gateway/pipeline.ts'

/** Counts the requests of one generation. */
export interface InFlight extends Required<Pick<Stages, 'usage'>> {
  readonly count: () => number
  /** Calls back once, when nothing is in flight any more: at once if that is so now. */
  readonly whenIdle: (callback: () => void) => void
}

export const createInFlight = (): InFlight => {
  let count = 0
  let onIdle: (() => void) | null = null
  const settle = (): void => {
    if (count > 0 || onIdle === null) return
    const callback = onIdle
    onIdle = null
    callback()
  }
  return {
    count: () => count,
    usage: {
      began: () => {
        count += 1
      },
      ended: () => {
        count -= 1
        settle()
      },
    },
    whenIdle: (callback) => {
      onIdle = callback
      settle()
    },
  }
}
