import { type Refusal, refuse } from '../../core/refusals.ts'

/** Work that several callers wait for. */
export interface Flight<T> {
  /** One caller's wait: it ends when that caller goes away; the others' go on. */
  readonly join: (caller: AbortSignal) => Promise<T | Refusal>
}

export interface FlightOptions {
  readonly timeoutMs: number
  /** The result when the deadline passes. */
  readonly timedOut: Refusal
  /** Stops the work: the deadline has passed, or the last caller has gone. */
  readonly abort: () => void
  /** Called once, when there is nothing more to join. */
  readonly onEnd: () => void
}

const GONE = refuse('decide', 'engine_unavailable', 'the caller went away before there was a decision')

/** Lets several callers share work that is under way, so that none can spoil another's answer by leaving. */
export const startFlight = <T>(work: Promise<T | Refusal>, options: FlightOptions): Flight<T> => {
  let waiting = 0
  let ended = false
  const end = (): void => {
    if (ended) return
    ended = true
    clearTimeout(timer)
    options.onEnd()
  }
  let timeOut = (_: Refusal): void => {}
  const deadline = new Promise<Refusal>((resolve) => {
    timeOut = resolve
  })
  const timer = setTimeout(() => {
    timeOut(options.timedOut)
    options.abort()
  }, options.timeoutMs)
  const result = Promise.race([work, deadline]).finally(end)
  // Nobody may be left to see it fail.
  result.catch(() => {})

  const leave = (): void => {
    waiting -= 1
    if (waiting > 0 || ended) return
    end()
    options.abort()
  }

  return {
    join: (caller) => {
      waiting += 1
      return new Promise((resolve, reject) => {
        const go = (): void => {
          leave()
          resolve(GONE)
        }
        if (caller.aborted) return go()
        caller.addEventListener('abort', go, { once: true })
        result.then(resolve, reject).finally(() => caller.removeEventListener('abort', go))
      })
    },
  }
}
