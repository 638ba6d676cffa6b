import { LRUCache } from 'lru-cache'

/** Sessions that were ended before their time: a browser, or a thief, may still have them. */
export interface EndedSessions {
  /** @param untilMs when the session would have ended by itself, in milliseconds since the epoch. */
  readonly add: (id: string, untilMs: number) => void
  readonly has: (id: string) => boolean
  readonly close: () => void
}

const MOST_ENTRIES = 100_000

/** Remembers them in this process. */
export const createEndedSessions = (): EndedSessions => {
  const ended = new LRUCache<string, number>({ max: MOST_ENTRIES })
  return {
    add: (id, untilMs) => ended.set(id, untilMs),
    has: (id) => ended.has(id),
    close: () => ended.clear(),
  }
}
