import type { Clock } from '../../core/clock.ts'

export interface BodyPaceLimits {
  /** How long nothing may arrive. */
  readonly idleTimeoutMs: number
  /** Bytes a second that must arrive over each `idleTimeoutMs`; 0: any. */
  readonly minRate: number
}

/** Watches whether a body makes progress while somebody is reading it. */
export interface BodyPace {
  readonly resume: () => void
  /** Nobody is reading: what does not arrive now is not the caller's fault. */
  readonly pause: () => void
  readonly arrived: (bytes: number) => void
  readonly stop: () => void
}

/**
 * Tells once when a body comes too slowly, so that a caller cannot hold an application's connection by a trickle.
 *
 * A deadline for the whole would cut large uploads, and one between two bytes alone would let a trickle pass.
 */
export const createBodyPace = (
  { idleTimeoutMs, minRate }: BodyPaceLimits,
  clock: Pick<Clock, 'monotonicUs'>,
  tooSlow: () => void,
): BodyPace => {
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  let windowBytes = 0
  let windowUs = 0
  let runningSinceUs = 0

  const stop = (): void => {
    stopped = true
    clearTimeout(timer)
    timer = undefined
  }
  const fail = (): void => {
    stop()
    tooSlow()
  }
  return {
    resume: () => {
      if (stopped || timer !== undefined) return
      runningSinceUs = clock.monotonicUs()
      timer = setTimeout(fail, idleTimeoutMs)
    },
    pause: () => {
      if (timer === undefined) return
      windowUs += clock.monotonicUs() - runningSinceUs
      clearTimeout(timer)
      timer = undefined
    },
    arrived: (bytes) => {
      if (stopped) return
      timer?.refresh()
      windowBytes += bytes
      const nowUs = clock.monotonicUs()
      if (timer !== undefined) windowUs += nowUs - runningSinceUs
      runningSinceUs = nowUs
      if (windowUs < idleTimeoutMs * 1000) return
      if (windowBytes < (minRate * windowUs) / 1_000_000) return fail()
      windowUs = 0
      windowBytes = 0
    },
    stop,
  }
}
