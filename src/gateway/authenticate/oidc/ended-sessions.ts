import { LRUCache } from 'lru-cache'
import { claimsOf, type Session } from './session.ts'

/** What can be ended: one session of ours, one login at the provider, or all that a person has begun until now. */
export type EndedPart = 'id' | 'sid' | 'sub'

/** Sessions that were ended before their time: a browser, or a thief, may still have them. */
export interface EndedSessions {
  /** @param atMs milliseconds since the epoch; what begins later is not meant. */
  readonly add: (part: EndedPart, value: string, atMs: number) => void
  /** Makes the question whether this session was ended; asking it is cheap. */
  readonly watch: (session: Session) => () => boolean
  readonly close: () => void
}

const MOST_ENTRIES = 100_000

/** Remembers them in this process; others learn of it by the revocation feed. */
export const createEndedSessions = (): EndedSessions => {
  const ended = new LRUCache<string, number>({ max: MOST_ENTRIES })
  return {
    add: (part, value, atMs) => ended.set(`${part} ${value}`, atMs),
    watch: (session) => {
      const { sid, sub } = claimsOf(session.idToken)
      const keys = [`id ${session.id}`, `sid ${String(sid)}`, `sub ${String(sub)}`]
      const startedAtMs = session.startedAt * 1000
      return () => keys.some((key) => startedAtMs <= (ended.get(key) ?? Number.NEGATIVE_INFINITY))
    },
    close: () => ended.clear(),
  }
}
