import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../../../core/clock.ts'
import { isRefusal, type Refusal } from '../../../core/refusals.ts'
import type { OidcProvider, Tokens } from './provider.ts'
import { isProviderFailure, type ProviderFailure } from './provider-failure.ts'
import { claimsOf, endOfUseMs, noteUseAtMs, type Session, type SessionLimits } from './session.ts'
import type { SessionStore } from './session-store.ts'

/** A session that was written anew, and what the browser is to have of it from now on. */
export interface Renewed {
  readonly session: Session
  readonly value: string
}

export interface RenewalOptions {
  readonly provider: Pick<OidcProvider, 'refresh'>
  readonly store: SessionStore
  readonly limits: SessionLimits
  readonly refreshBeforeMs: number
  readonly clock: Clock
}

export interface Renewal {
  /** Milliseconds since the epoch until which a session needs nothing. */
  readonly dueAtMs: (session: Session) => number
  /**
   * Notes that a session is in use, and refreshes its tokens when it is time.
   *
   * @param value what the browser has of it.
   * @returns a failure only when the provider says that it is over, or does not answer and the tokens have expired.
   */
  readonly renew: (value: string, session: Session) => Promise<Renewed | ProviderFailure | Refusal>
}

/** For how long the answer of the provider serves those who still come with the session before it. */
const REMEMBERED_MS = 5 * 60_000
/** How long a provider that did not answer is left alone. */
const REST_MS = 5000
const MOST_ENTRIES = 5000

interface Flight {
  readonly atMs: number
  readonly outcome: Promise<Renewed | ProviderFailure | Refusal>
}

/**
 * Makes the renewal of sessions.
 *
 * A page asks for many things at once, all with the session that it has: the first of them renews it, and the others
 * get the same answer. A refresh token that is used twice would end the session at many providers.
 */
export const createRenewal = (options: RenewalOptions): Renewal => {
  const { provider, store, limits, refreshBeforeMs, clock } = options
  const flights = new LRUCache<string, Flight>({ max: MOST_ENTRIES })
  let restsUntilMs = 0

  const isRefreshDue = ({ refreshAt, refreshToken }: Session, nowMs: number): boolean =>
    refreshToken !== undefined && refreshAt !== undefined && nowMs >= refreshAt * 1000

  const refreshed = async (session: Session, nowMs: number): Promise<Session | ProviderFailure> => {
    const { refreshToken, expiresAt = 0 } = session
    if (refreshToken === undefined || !isRefreshDue(session, nowMs)) return session
    const resting = nowMs < restsUntilMs
    const tokens = resting ? RESTING : await provider.refresh(refreshToken)
    if (!isProviderFailure(tokens)) return withTokens(session, tokens, refreshBeforeMs, clock.nowMs())
    if (tokens.failure === 'refused') return tokens
    if (!resting) restsUntilMs = clock.nowMs() + REST_MS
    return nowMs < expiresAt * 1000 ? session : tokens
  }

  const renewOnce = async (value: string, session: Session): Promise<Renewed | ProviderFailure | Refusal> => {
    const current = await refreshed(session, clock.nowMs())
    if (isProviderFailure(current)) return current
    const used = { ...current, usedAt: Math.floor(clock.nowMs() / 1000) }
    const saved = await store.save(used, value)
    return typeof saved === 'string' ? { session: used, value: saved } : saved
  }

  return {
    dueAtMs: (session) => {
      const { refreshToken, refreshAt } = session
      const refreshMs =
        refreshToken === undefined || refreshAt === undefined ? Number.POSITIVE_INFINITY : refreshAt * 1000
      return Math.min(noteUseAtMs(session, limits), refreshMs, endOfUseMs(session, limits))
    },
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
        if (failed || isRefreshDue(renewed.session, clock.nowMs())) forget()
      }, forget)
      return outcome
    },
  }
}

const RESTING: ProviderFailure = {
  failure: 'unavailable',
  detail: 'the provider did not answer a moment ago',
}

/** When the tokens are to be refreshed, and when they are of no use; nothing without a refresh token. */
export const tokenTimes = (
  { refreshToken, expiresInSeconds }: Pick<Tokens, 'refreshToken' | 'expiresInSeconds'>,
  refreshBeforeMs: number,
  nowMs: number,
): Pick<Session, 'refreshAt' | 'expiresAt'> => {
  if (refreshToken === null || expiresInSeconds === null) return {}
  const nowSeconds = Math.floor(nowMs / 1000)
  const before = Math.min(refreshBeforeMs / 1000, expiresInSeconds / 2)
  return {
    refreshAt: Math.floor(nowSeconds + expiresInSeconds - before),
    expiresAt: nowSeconds + expiresInSeconds,
  }
}

const withTokens = (
  session: Session,
  tokens: Tokens,
  refreshBeforeMs: number,
  nowMs: number,
): Session | ProviderFailure => {
  const { idToken } = tokens
  // OpenID Connect Core section 12.2: a refreshed ID token is about the same person.
  if (idToken !== null && claimsOf(idToken).sub !== claimsOf(session.idToken).sub) {
    return { failure: 'refused', detail: 'the refreshed ID token is about somebody else' }
  }
  const { refreshAt: _refreshAt, expiresAt: _expiresAt, ...rest } = session
  const refreshToken = tokens.refreshToken ?? session.refreshToken ?? null
  return {
    ...rest,
    ...(idToken === null ? {} : { idToken }),
    ...(refreshToken === null ? {} : { refreshToken }),
    ...tokenTimes({ refreshToken, expiresInSeconds: tokens.expiresInSeconds }, refreshBeforeMs, nowMs),
  }
}
