import type { JsonObject, JsonValue } from '../../core/json.ts'

/** What the registered claims are compared with. */
export interface ClaimRules {
  readonly issuer: string
  /** Empty: only tokens that name no audience are for us. */
  readonly audience: readonly string[]
  readonly toleranceMs: number
}

/**
 * Checks the registered claims.
 *
 * @returns null when all is well, else what is wrong, without any part of the token.
 * Does not check: the signature, and what binds the token to a key (`cnf`).
 * @see https://www.rfc-editor.org/rfc/rfc7519#section-4.1
 */
export const claimsProblem = (claims: JsonObject, rules: ClaimRules, nowMs: number): string | null =>
  issuerProblem(claims, rules) ??
  timeProblem(claims, rules.toleranceMs, nowMs) ??
  audienceProblem(claims.aud, rules.audience) ??
  subProblem(claims)

export const issuerProblem = ({ iss }: JsonObject, { issuer }: ClaimRules): string | null => {
  if (iss === issuer) return null
  return iss === undefined ? 'the token has no iss' : `the token was not issued by ${issuer}`
}

/** Milliseconds since the epoch at which the token is no longer accepted; for tokens that passed the check. */
export const endOfLifeMs = ({ exp }: JsonObject, { toleranceMs }: Pick<ClaimRules, 'toleranceMs'>): number =>
  typeof exp === 'number' ? exp * 1000 + toleranceMs : 0

const timeProblem = (claims: JsonObject, toleranceMs: number, nowMs: number): string | null =>
  claims.exp === undefined ? 'the token has no exp' : timesProblem(claims, toleranceMs, nowMs)

/** What is wrong with those of `exp`, `nbf` and `iat` that are there. */
export const timesProblem = (claims: JsonObject, toleranceMs: number, nowMs: number): string | null => {
  const { exp, nbf, iat } = claims
  if (exp !== undefined && !isTime(exp)) return 'exp is not a number'
  if (nbf !== undefined && !isTime(nbf)) return 'nbf is not a number'
  if (iat !== undefined && !isTime(iat)) return 'iat is not a number'
  if (exp !== undefined && nowMs >= exp * 1000 + toleranceMs) return 'the token has expired'
  if (nbf !== undefined && nbf * 1000 > nowMs + toleranceMs) return 'the token is not valid yet (nbf)'
  // A token from the future would outlive every revocation of what was issued until now.
  if (iat !== undefined && iat * 1000 > nowMs + toleranceMs) return 'the token was issued in the future (iat)'
  return null
}

const isTime = (value: JsonValue | undefined): value is number =>
  typeof value === 'number' && Number.isFinite(value)

export const audienceProblem = (aud: JsonValue | undefined, audience: readonly string[]): string | null => {
  if (aud === undefined) return audience.length === 0 ? null : 'the token has no aud'
  const named = typeof aud === 'string' ? [aud] : aud
  if (!Array.isArray(named) || !named.every((one): one is string => typeof one === 'string')) {
    return 'aud is not a string or a list of strings'
  }
  if (audience.length === 0) return 'the token is for an audience, and none is configured'
  return named.some((one) => audience.includes(one)) ? null : 'the token is for another audience (aud)'
}

const subProblem = ({ sub }: JsonObject): string | null =>
  typeof sub !== 'string' || sub === '' ? 'sub is not a non-empty string' : null
