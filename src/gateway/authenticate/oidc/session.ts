import { hash } from 'node:crypto'
import type { Credential, Identity } from '../../../core/identity.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../../../core/json.ts'
import { isRefusal, type Refusal } from '../../../core/refusals.ts'
import { credentialDigest } from '../credential-digest.ts'
import type { ToSubject } from '../subject.ts'

/** What the gateway remembers of a sign-in; sealed wherever it is kept. Times are seconds since the epoch. */
export interface Session {
  /** Made here, at the sign-in. */
  readonly id: string
  readonly startedAt: number
  /** When it was last known to be in use. */
  readonly usedAt: number
  /** As the provider signed it; it has been verified. */
  readonly idToken: string
  /** See `Credential.askedFor`. */
  readonly askedFor?: string
  readonly refreshToken?: string
  /** When the tokens are to be refreshed, and when they are of no use any more. */
  readonly refreshAt?: number
  readonly expiresAt?: number
}

export interface SessionLimits {
  readonly idleMs: number
  readonly lifetimeMs: number
}

export const sessionJson = (session: Session): JsonObject => ({ ...session })

/** Null when it is no session. Does not check its times. */
export const parseSession = (json: JsonObject): Session | null => {
  const { id, startedAt, usedAt, idToken, askedFor, refreshToken, refreshAt, expiresAt } = json
  if (typeof id !== 'string' || typeof idToken !== 'string') return null
  if (typeof startedAt !== 'number' || typeof usedAt !== 'number') return null
  return {
    id,
    startedAt,
    usedAt,
    idToken,
    ...(typeof askedFor === 'string' ? { askedFor } : {}),
    ...(typeof refreshToken === 'string' ? { refreshToken } : {}),
    ...(typeof refreshAt === 'number' ? { refreshAt } : {}),
    ...(typeof expiresAt === 'number' ? { expiresAt } : {}),
  }
}

/** Milliseconds since the epoch at which it ends, used or not. */
export const endOfLifeMs = ({ startedAt }: Session, { lifetimeMs }: SessionLimits): number =>
  startedAt * 1000 + lifetimeMs

/** Milliseconds since the epoch at which it ends unless it is used. */
export const endOfUseMs = (session: Session, limits: SessionLimits): number =>
  Math.min(session.usedAt * 1000 + limits.idleMs, endOfLifeMs(session, limits))

/** Why a session has ended by itself; null when it has not. */
export const sessionProblem = (session: Session, limits: SessionLimits, nowMs: number): string | null => {
  if (nowMs >= endOfLifeMs(session, limits)) return 'the session has reached the end of its lifetime'
  return nowMs >= endOfUseMs(session, limits) ? 'the session was idle for too long' : null
}

const MOST_RESEAL_MS = 5 * 60_000

/** From when on its use is noted: often enough that `idle` is off by a quarter and by 5 minutes at most. */
export const noteUseAtMs = ({ usedAt }: Session, { idleMs }: SessionLimits): number =>
  usedAt * 1000 + Math.min(idleMs / 4, MOST_RESEAL_MS)

/** The claims of a token that has been verified before. */
export const claimsOf = (idToken: string): JsonObject => {
  const payload: JsonValue = JSON.parse(
    Buffer.from(idToken.split('.')[1] ?? '', 'base64url').toString('utf8'),
  )
  return isJsonObject(payload) ? payload : {}
}

/** Who is signed in; `denied` when the claims make no subject. */
export const identityOf = (
  authenticator: string,
  session: Session,
  limits: SessionLimits,
  toSubject: ToSubject,
): Identity | Refusal => {
  const claims = claimsOf(session.idToken)
  const subject = toSubject(claims)
  if (isRefusal(subject)) return subject
  const digest = credentialDigest(authenticator, hash('sha256', `${session.id} ${session.idToken}`, 'hex'))
  const credential: Credential = {
    type: 'oidc',
    authenticator,
    id: session.id,
    ...(typeof claims.iss === 'string' ? { issuer: claims.iss } : {}),
    issuedAt: session.startedAt,
    expiresAt: Math.floor(endOfLifeMs(session, limits) / 1000),
    // The login at the provider may be of any age where it does not say: then it counts as older than any mark.
    authenticatedAt: typeof claims.auth_time === 'number' ? claims.auth_time : 0,
    ...(session.askedFor === undefined ? {} : { askedFor: session.askedFor }),
    // What the provider calls it, and ends it by; where it does not say, it is ours to name.
    session: typeof claims.sid === 'string' ? claims.sid : session.id,
    digest,
  }
  return { subject, credential, claims }
}
