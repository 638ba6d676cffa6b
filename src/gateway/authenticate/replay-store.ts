import type { Closable } from '../../core/settings.ts'
import type { SharedUse } from '../../core/shared-uses.ts'

/** Remembers what may be used once only. */
export interface ReplayStore extends Closable {
  /**
   * @param key     names the one use; the caller bounds its length.
   * @param untilMs milliseconds since the epoch, after which the use would be refused for its age anyway.
   * @returns `used` when it was remembered already; `full` when nothing more can be, so that it must be refused.
   */
  readonly use: (key: string, untilMs: number, nowMs: number) => 'first' | 'used' | 'full'
}

export type ReplayAnswer = ReturnType<ReplayStore['use']> | SharedUse

const MOST_ENTRIES = 500_000

/** Remembers in this process, until what is remembered is too old to be used. */
export const memoryReplayStore = (mostEntries = MOST_ENTRIES): ReplayStore => {
  // By the second in which they end, so that what has ended goes without a walk over all.
  const bySecond = new Map<number, Set<string>>()
  const ends = new Map<string, number>()
  let sweptSecond = 0

  const sweep = (nowMs: number): void => {
    const second = Math.floor(nowMs / 1000)
    if (second === sweptSecond) return
    sweptSecond = second
    for (const [end, keys] of bySecond) {
      if (end >= second) continue
      for (const key of keys) if (ends.get(key) === end) ends.delete(key)
      bySecond.delete(end)
    }
  }

  return {
    use: (key, untilMs, nowMs) => {
      sweep(nowMs)
      if (ends.has(key)) return 'used'
      if (ends.size >= mostEntries) return 'full'
      const end = Math.floor(untilMs / 1000)
      ends.set(key, end)
      const ending = bySecond.get(end)
      if (ending === undefined) bySecond.set(end, new Set([key]))
      else ending.add(key)
      return 'first'
    },
    close: () => {
      ends.clear()
      bySecond.clear()
    },
  }
}
