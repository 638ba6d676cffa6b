import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../../../core/clock.ts'
import { isRefusal, type Refusal } from '../../../core/refusals.ts'
import type { SharedWait } from '../../../core/shared-wait.ts'
import { isProviderFailure, type ProviderFailure } from './provider-failure.ts'
import type { Refresh } from './refresh.ts'
import { endOfUseMs, noteUseAtMs, type Session, type SessionLimits } from './session.ts'
import type { SessionStore } from './session-store.ts'

/** A session that was written anew, and what the browser is to have of it from now on. */
export interface Renewed {
  readonly session: Session
  readonly value: string
}

export interface RenewalOptions {
  readonly store: SessionStore
  readonly limits: SessionLimits
  readonly refresh: Refresh
  readonly clock: Clock
}

export interface Renewal {
  /** Milliseconds since the epoch until which a session needs nothing. */
  readonly dueAtMs: (session: Session) => number
  /**
   * Notes that a session is in use, and refreshes its tokens when it is time.
   *
   * @param value what the browser has of it.
   * @param wait of the request that comes with it.
   * @returns a failure only when the provider says that it is over, or does not answer and the tokens have expired.
   */
  readonly renew: (
    value: string,
    session: Session,
    wait: SharedWait,
  ) => Promise<Renewed | ProviderFailure | Refusal>
}

/** For how long the answer of the provider serves those who still come with the session before it. */
const REMEMBERED_MS = 5 * 60_000
const MOST_ENTRIES = 5000

/** Milliseconds since the epoch until which a session needs nothing. */
export const dueAtMs = (session: Session, limits: SessionLimits): number => {
  const { refreshToken, refreshAt } = session
  const refreshMs =
    refreshToken === undefined || refreshAt === undefined ? Number.POSITIVE_INFINITY : refreshAt * 1000
  return Math.min(noteUseAtMs(session, limits), refreshMs, endOfUseMs(session, limits))
}

interface Flight {
  readonly atMs: number
  readonly outcome: Promise<Renewed | ProviderFailure | Refusal>
}

/**
 * Makes the renewal of sessions that are in the browser.
 *
 * A page asks for many things at once, all with the session that it has: the first of them renews it, and the others
 * get the same answer. A refresh token that is used twice would end the session at many providers.
 */
export const createRenewal = (options: RenewalOptions): Renewal => {
  const { refresh, store, limits, clock } = options
  const flights = new LRUCache<string, Flight>({ max: MOST_ENTRIES })

  const renewOnce = async (value: string, session: Session): Promise<Renewed | ProviderFailure | Refusal> => {
    const current = await refresh.run(session, clock.nowMs())
    if (isProviderFailure(current)) return current
    const used = { ...current, usedAt: Math.floor(clock.nowMs() / 1000) }
    const saved = await store.save(used, value)
    return typeof saved === 'string' ? { session: used, value: saved } : saved
  }

  return {
    dueAtMs: (session) => dueAtMs(session, limits),
    renew: (value, session) => {
      const nowMs = clock.nowMs()
      const key = hash('sha256', value, 'base64url')
      const known = flights.get(key)
      if (known !== undefined && Math.abs(nowMs - known.atMs) < REMEMBERED_MS) return known.outcome
      const outcome = renewOnce(value, session)
      flights.set(key, { atMs: nowMs, outcome })
      const forget = (): void => {
        if (flights.get(key)?.outcome === outcome) flights.delete(key)
      }
      outcome.then((renewed) => {
        const failed = isRefusal(renewed) || isProviderFailure(renewed)
        if (failed || refresh.isDue(renewed.session, clock.nowMs())) forget()
      }, forget)
      return outcome
    },
  }
}
