import type { Clock } from '../../../core/clock.ts'
import type { OidcProvider, Tokens } from './provider.ts'
import { isProviderFailure, type ProviderFailure } from './provider-failure.ts'
import { claimsOf, type Session } from './session.ts'

/** The refresh of a session's tokens. */
export interface Refresh {
  readonly isDue: (session: Session, nowMs: number) => boolean
  /**
   * Refreshes the tokens if that is due.
   *
   * @returns the session as it was when the provider does not answer and its tokens are still good.
   */
  readonly run: (session: Session, nowMs: number) => Promise<Session | ProviderFailure>
}

/** How long a provider that did not answer is left alone. */
const REST_MS = 5000

export const createRefresh = (options: {
  readonly provider: Pick<OidcProvider, 'refresh'>
  readonly refreshBeforeMs: number
  readonly clock: Clock
}): Refresh => {
  const { provider, refreshBeforeMs, clock } = options
  let restsUntilMs = 0
  const isDue = ({ refreshAt, refreshToken }: Session, nowMs: number): boolean =>
    refreshToken !== undefined && refreshAt !== undefined && nowMs >= refreshAt * 1000
  return {
    isDue,
    run: async (session, nowMs) => {
      const { refreshToken, expiresAt = 0 } = session
      if (refreshToken === undefined || !isDue(session, nowMs)) return session
      const resting = nowMs < restsUntilMs
      const tokens = resting ? RESTING : await provider.refresh(refreshToken)
      if (!isProviderFailure(tokens)) return withTokens(session, tokens, refreshBeforeMs, clock.nowMs())
      if (tokens.failure === 'refused') return tokens
      if (!resting) restsUntilMs = clock.nowMs() + REST_MS
      return nowMs < expiresAt * 1000 ? session : tokens
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
