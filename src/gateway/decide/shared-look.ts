import type { Clock } from '../../core/clock.ts'
import type { SharedWait } from '../../core/shared-wait.ts'

/** A look for what others have, on which several requests may wait. */
export interface SharedLook<T> {
  /** Undefined also when one of them may wait no longer. */
  readonly found: Promise<T | undefined>
  /** One more waits; nothing when it is over. When that one may wait no longer, all go on without. */
  readonly join: (wait: SharedWait) => void
}

/** @param work of the first one, and bounded by its wait. */
export const startLook = <T>(
  work: Promise<T | undefined>,
  { clock, mostMs }: { readonly clock: Pick<Clock, 'monotonicUs'>; readonly mostMs: number },
): SharedLook<T> => {
  let isOver = false
  let giveUp = (): void => {}
  const givenUp = new Promise<undefined>((resolve) => {
    giveUp = () => resolve(undefined)
  })
  const found = Promise.race([work, givenUp]).finally(() => {
    isOver = true
  })
  return {
    found,
    join: (wait) => {
      if (isOver) return
      const nowUs = clock.monotonicUs()
      const leftMs = wait.leftMs(mostMs, nowUs)
      if (leftMs === 0) return giveUp()
      wait.begin(nowUs)
      const timer = setTimeout(giveUp, leftMs)
      const end = (): void => {
        clearTimeout(timer)
        wait.end(clock.monotonicUs())
      }
      found.then(end, end)
    },
  }
}
