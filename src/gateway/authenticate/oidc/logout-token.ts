import { LRUCache } from 'lru-cache'
import type { Clock } from '../../../core/clock.ts'
import { isJsonObject, type JsonObject } from '../../../core/json.ts'
import { isRefusal, type Refusal, refuse } from '../../../core/refusals.ts'
import { type Algorithm, ASYMMETRIC_ALGORITHMS } from '../algorithms.ts'
import { claimsProblem } from '../jwt-claims.ts'
import { parseJwt } from '../jwt-parse.ts'
import { acceptedAlgorithm, findSigner } from '../jwt-signature.ts'
import type { KeySource } from '../key-source.ts'

/** What a provider says is over: one login, or all of a person's. */
export interface LogoutToken {
  readonly sid: string | null
  readonly claims: JsonObject
}

export interface LogoutTokenOptions {
  readonly authenticator: string
  readonly issuer: string
  readonly clientId: string
  readonly clockToleranceMs: number
  readonly keys: KeySource
  readonly clock: Clock
}

const EVENT = 'http://schemas.openid.net/event/backchannel-logout'
const ALGORITHMS: ReadonlySet<Algorithm> = new Set(ASYMMETRIC_ALGORITHMS)
const TYPES: ReadonlySet<string> = new Set(['', 'jwt', 'logout+jwt'])
/** A logout is told at once; an older one may have been kept back. */
const MOST_AGE_MS = 5 * 60_000
const MOST_REMEMBERED = 100_000

/**
 * Makes the check of logout tokens. Each is good once, as far as this process knows.
 *
 * @returns the token; `bad_request` for what is none, `authenticator_unavailable` when no key can be had.
 * @see https://openid.net/specs/openid-connect-backchannel-1_0.html#Validation
 */
export const createLogoutTokenCheck = (
  options: LogoutTokenOptions,
): ((compact: string) => Promise<LogoutToken | Refusal>) => {
  const { authenticator, issuer, clientId, clockToleranceMs: toleranceMs, keys, clock } = options
  const used = new LRUCache<string, true>({ max: MOST_REMEMBERED })
  const bad = (why: string): Refusal =>
    refuse('authenticate', 'bad_request', `${authenticator}: a logout token: ${why}`, {
      publicDetail: 'The logout token is not valid.',
    })
  return async (compact) => {
    const token = parseJwt(compact)
    if (typeof token === 'string') return bad(token)
    const { claims } = token
    const rules = { issuer, audience: [clientId], toleranceMs }
    // A person need not be named where a login is.
    const named = { sub: 'somebody', ...claims }
    const problem =
      claimsProblem(named, rules, clock.nowMs()) ??
      (TYPES.has(token.typ) ? null : 'its typ is that of something else') ??
      eventProblem(claims, toleranceMs, clock.nowMs())
    if (problem !== null) return bad(problem)
    const algorithm = acceptedAlgorithm(token, ALGORITHMS)
    if (algorithm === null) return bad('its alg is not accepted')
    const signer = await findSigner(token, algorithm, keys, clock)
    if (typeof signer === 'string') return bad(signer)
    if (isRefusal(signer)) return signer
    const jti = String(claims.jti)
    if (used.has(jti)) return bad('it was used before')
    used.set(jti, true)
    return { sid: typeof claims.sid === 'string' ? claims.sid : null, claims }
  }
}

const eventProblem = (claims: JsonObject, toleranceMs: number, nowMs: number): string | null => {
  const { events, nonce, sub, sid, jti, iat } = claims
  if (!isJsonObject(events) || !isJsonObject(events[EVENT])) return 'it is not about a logout'
  // So that no ID token can be taken for one.
  if (nonce !== undefined) return 'it has a nonce'
  if (!isText(jti)) return 'it has no jti'
  if (typeof iat !== 'number') return 'it has no iat'
  if (nowMs - iat * 1000 > MOST_AGE_MS + toleranceMs) return 'it is too old'
  if (sub !== undefined && !isText(sub)) return 'its sub is not a string'
  if (sid !== undefined && !isText(sid)) return 'its sid is not a string'
  return sub === undefined && sid === undefined ? 'it says neither who nor which login' : null
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''

/** Whom an unverified logout token says that it is from, and for; to choose who looks at it. */
export const addressedTo = (
  compact: string,
  { issuer, clientId }: { issuer: string; clientId: string },
): boolean => {
  const token = parseJwt(compact)
  if (typeof token === 'string') return false
  const { iss, aud } = token.claims
  return iss === issuer && (aud === clientId || (Array.isArray(aud) && aud.includes(clientId)))
}
