import { z } from 'zod'
import type { Identity } from '../../core/identity.ts'
import type { JsonObject, JsonValue } from '../../core/json.ts'
import { type Refusal, refuse } from '../../core/refusals.ts'
import type { Requirement } from '../../core/requirement.ts'
import type { Settings } from '../../core/settings.ts'

/** A scope token. @see https://www.rfc-editor.org/rfc/rfc6749#section-3.3 */
const SCOPE = /^[\x21\x23-\x5b\x5d-\x7e]+$/
/** What can stand in a quoted string of a challenge as it is. */
const ACR = /^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/

const scalar = () => z.union([z.string(), z.number(), z.boolean()])

/** `require:` of an authenticator or a route. */
export const requireConfig = (s: Settings) =>
  z.strictObject({
    scopes: z
      .array(z.string().regex(SCOPE, 'expected a scope'))
      .min(1)
      .optional()
      .describe('Scopes that the token must all have; else 403 with insufficient_scope; default none.'),
    claims: z
      .record(z.string().min(1), z.union([scalar(), z.array(scalar()).min(1)]))
      .optional()
      .describe(
        'Claims that must be, or contain, the value or one of the values, such as { email_verified: true }; else 403; default none.',
      ),
    acr: z
      .array(z.string().regex(ACR, 'expected printable ASCII without quotes and backslashes'))
      .min(1)
      .optional()
      .describe(
        'Authentication contexts, one of which `acr` must be; else 401 with insufficient_user_authentication; default any.',
      ),
    maxAge: s
      .duration({ minMs: 1000 })
      .optional()
      .describe(
        'How long ago the login (`auth_time`) may be; else 401 with insufficient_user_authentication; default any time.',
      ),
  })

export type RequireConfig = z.infer<ReturnType<typeof requireConfig>>

export const requirementOf = ({ scopes, claims, acr, maxAge }: RequireConfig): Requirement => ({
  scopes: scopes ?? [],
  claims: new Map(
    Object.entries(claims ?? {}).map(([name, value]) => [name, Array.isArray(value) ? value : [value]]),
  ),
  acr: acr ?? [],
  maxAgeMs: maxAge ?? null,
})

/**
 * Checks what a caller must have shown beyond being known.
 *
 * @returns null when all is there; `denied` with `insufficient_scope` for scopes; `denied` for claims; and
 *   `unauthenticated` with what to log in by again.
 * @see https://www.rfc-editor.org/rfc/rfc6750#section-3.1 and https://www.rfc-editor.org/rfc/rfc9470#section-3
 */
export const unmet = (
  { claims, credential }: Pick<Identity, 'claims' | 'credential'>,
  requirement: Requirement,
  nowMs: number,
): Refusal | null => {
  const name = credential.authenticator
  for (const [claim, accepted] of requirement.claims) {
    if (!hasOne(claims, claim, accepted))
      return refuse('authenticate', 'denied', `${name}: the claim ${claim} is not as required`)
  }
  const scopes = scopesOf(claims)
  if (!requirement.scopes.every((scope) => scopes.has(scope))) return insufficientScope(name, requirement)
  if (requirement.acr.length > 0 && !requirement.acr.some((acr) => acr === claims.acr)) {
    return stepUp(name, 'the acr of the token is not as required', requirement)
  }
  const untilMs = freshUntilMs(claims, requirement)
  if (nowMs >= untilMs)
    return stepUp(name, 'the login is too long ago, or nobody knows when it was', requirement)
  return null
}

/** Milliseconds since the epoch, until when the login is not too long ago. */
export const freshUntilMs = (
  { auth_time: loggedInAt, iat }: JsonObject,
  { maxAgeMs }: Requirement,
): number => {
  if (maxAgeMs === null) return Number.POSITIVE_INFINITY
  if (typeof loggedInAt !== 'number') return Number.NEGATIVE_INFINITY
  // One that came after the token has its time in another unit, or wrong.
  const atSeconds = typeof iat === 'number' ? Math.min(loggedInAt, iat) : loggedInAt
  return atSeconds * 1000 + maxAgeMs
}

/** `scope` as RFC 8693 has it, or `scp` as some providers write it. */
const scopesOf = ({ scope, scp }: JsonObject): ReadonlySet<string> => {
  const written = scope ?? scp
  if (typeof written === 'string') return new Set(written.split(' '))
  return new Set(Array.isArray(written) ? written.filter((each) => typeof each === 'string') : [])
}

const hasOne = (claims: JsonObject, claim: string, accepted: readonly JsonValue[]): boolean => {
  const value = Object.hasOwn(claims, claim) ? claims[claim] : undefined
  if (value === undefined) return false
  const held: readonly JsonValue[] = Array.isArray(value) ? value : [value]
  return held.some((one) => accepted.includes(one))
}

const insufficientScope = (name: string, { scopes }: Requirement): Refusal =>
  refuse('authenticate', 'denied', `${name}: the token lacks a scope that is required`, {
    publicDetail: 'The token lacks a scope that is required.',
    headers: ['WWW-Authenticate', `Bearer error="insufficient_scope", scope="${scopes.join(' ')}"`],
  })

const stepUp = (name: string, detail: string, { acr, maxAgeMs }: Requirement): Refusal => {
  const parameters = [
    'error="insufficient_user_authentication"',
    'error_description="A stronger or more recent authentication is required"',
    ...(acr.length > 0 ? [`acr_values="${acr.join(' ')}"`] : []),
    ...(maxAgeMs === null ? [] : [`max_age="${Math.floor(maxAgeMs / 1000)}"`]),
  ]
  return refuse('authenticate', 'unauthenticated', `${name}: ${detail}`, {
    publicDetail: 'A stronger or more recent authentication is required.',
    headers: ['WWW-Authenticate', `Bearer ${parameters.join(', ')}`],
  })
}
