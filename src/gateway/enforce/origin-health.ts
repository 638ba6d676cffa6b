import type { Clock } from '../../core/clock.ts'

/** What is known of one origin from what came of the requests to it. */
export interface OriginHealth {
  /** An answer has begun. On the way of every request: it compares one number where all is well. */
  readonly answered: () => void
  /** A connection has come about. */
  readonly connected: () => void
  /** No connection came about. */
  readonly notConnected: (code: string) => void
  /** A request that had been sent was reset, or not answered in time. */
  readonly notAnswered: (code: string) => void
  /** What an active check found; null: it is well. */
  readonly checked: (problem: string | null) => void
  /** It failed too often in a row; requests go elsewhere where that is possible. */
  readonly isOut: () => boolean
  /** It failed too often in a row, and without any connection. */
  readonly isUnreachable: () => boolean
  /** True once in `trialEvery` while it is out: the request that asks may try it. */
  readonly takeTrial: () => boolean
  /** An active check found that it should get no requests. */
  readonly isAiling: () => boolean
  /** The code of the latest failure; empty before the first one. */
  readonly latest: () => string
}

export interface OriginHealthOptions {
  readonly clock: Pick<Clock, 'monotonicUs'>
  /** Failures in a row after which it is out. */
  readonly failures: number
  readonly trialEveryMs: number
  /** It went out, or came back. */
  readonly onChange: (isOut: boolean, code: string) => void
}

/**
 * Counts failures in a row, each kind by itself.
 *
 * What a caller can cause, a reset or a slow answer, never makes an origin unreachable: else callers could take
 * an application from all others.
 */
export const createOriginHealth = (options: OriginHealthOptions): OriginHealth => {
  const { clock, failures, trialEveryMs, onChange } = options
  /** Of both kinds. */
  let failed = 0
  let unconnected = 0
  let checksFailed = 0
  let trialAtUs = 0
  let latest = ''
  let wasOut = false

  const isAiling = (): boolean => checksFailed >= failures
  const isOut = (): boolean => failed >= failures || isAiling()
  const settle = (): void => {
    if (isOut() === wasOut) return
    wasOut = !wasOut
    onChange(wasOut, latest)
  }
  const note = (code: string): void => {
    failed += 1
    latest = code
    trialAtUs = clock.monotonicUs() + trialEveryMs * 1000
    settle()
  }
  return {
    answered: () => {
      if (failed === 0) return
      failed = 0
      unconnected = 0
      settle()
    },
    connected: () => {
      unconnected = 0
    },
    notConnected: (code) => {
      unconnected += 1
      note(code)
    },
    notAnswered: note,
    checked: (problem) => {
      if (problem === null) {
        checksFailed = 0
        failed = 0
        unconnected = 0
      } else {
        checksFailed += 1
        latest = problem
      }
      settle()
    },
    isOut,
    isUnreachable: () => unconnected >= failures,
    isAiling,
    takeTrial: () => {
      const nowUs = clock.monotonicUs()
      if (nowUs < trialAtUs) return false
      trialAtUs = nowUs + trialEveryMs * 1000
      return true
    },
    latest: () => latest,
  }
}
