import { LRUCache } from 'lru-cache'
import type { AccessRequest } from '../../core/access-request.ts'
import type { Clock } from '../../core/clock.ts'
import { randomUuidV7 } from '../../core/uuid.ts'
import type { Passage } from '../pipeline.ts'
import type { AssertionSettings } from './assertion-key.ts'
import { createJwsSigner } from './compact-jws.ts'

/** Says to an application, signed, who is asking and what was allowed. */
export interface Assertion {
  /** The compact JWT for this request; null where nothing was verified or allowed. */
  readonly of: (passage: Passage) => string | null
  /** The JWK set as JSON. */
  readonly jwks: string
}

interface Kept {
  readonly token: string
  readonly upstream: string
  readonly grantExpiresAtMs: number
  /** From here on a new one is made. */
  readonly staleAtMs: number
}

const KEPT_MAX = 20_000

/**
 * Signs assertions (ES256) and keeps one for each grant that serves a second request.
 *
 * `exp` is the least of the ttl, the grant's end and the credential's. Claims: `iss`, `aud` (the upstream), `sub`,
 * `subject_type`, `iat`, `exp`, `jti`, `action` and `resource` (or `evaluations`), `route`, `policy`, `grant` if any.
 *
 * Does not check: whether the request was recorded, or that the grant was not revoked meanwhile.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7519#section-4.1
 */
export const createAssertion = (settings: AssertionSettings, clock: Clock): Assertion => {
  const { issuer, ttlMs, key } = settings
  const kept = new LRUCache<string, Kept>({ max: KEPT_MAX })
  const signed = createJwsSigner(key, 'JWT')

  return {
    jwks: key.jwks,
    of: (passage) => {
      const { identity, decision, accepted } = passage
      // In observe mode a request passes that would have been denied: nobody vouches for it.
      if (identity === null || decision.decision !== 'allow' || decision.source === 'route') return null
      const nowMs = clock.nowMs()
      const { grant } = decision
      const endsAtMs = Math.min(
        grant?.expiresAtMs ?? Number.POSITIVE_INFINITY,
        (identity.credential.expiresAt ?? Number.POSITIVE_INFINITY) * 1000,
      )
      const expiresAtMs = Math.min(nowMs + ttlMs, endsAtMs)
      if (grant === undefined) return signed(claimsOf(passage, issuer, nowMs, expiresAtMs))

      const { upstream } = accepted.route
      // By the very text that the grant has, whose hash is known: it is of one route, which has one upstream at a time.
      const known = kept.get(grant.id)
      if (
        known?.upstream === upstream &&
        nowMs < known.staleAtMs &&
        known.grantExpiresAtMs === grant.expiresAtMs
      ) {
        return known.token
      }
      const token = signed(claimsOf(passage, issuer, nowMs, expiresAtMs))
      // Many a grant is asked for once.
      if (decision.source === 'engine') return token
      // One that could live longer if it were made anew is replaced before an application sees it on its last legs.
      const staleAtMs = expiresAtMs < endsAtMs ? nowMs + ttlMs * 0.75 : numericDate(nowMs, expiresAtMs) * 1000
      kept.set(grant.id, { token, upstream, grantExpiresAtMs: grant.expiresAtMs, staleAtMs })
      return token
    },
  }
}

const claimsOf = (passage: Passage, issuer: string, nowMs: number, expiresAtMs: number): object => {
  const { accepted, bound, decision, identity } = passage
  const asked = bound.accessRequests.map(actionAndResource)
  return {
    iss: issuer,
    aud: accepted.route.upstream,
    sub: identity?.subject.id,
    subject_type: identity?.subject.type,
    iat: Math.floor(nowMs / 1000),
    exp: numericDate(nowMs, expiresAtMs),
    jti: randomUuidV7(nowMs),
    ...(bound.batch ? { evaluations: asked } : asked[0]),
    route: accepted.route.name,
    policy: decision.policyVersion,
    ...(decision.grant === undefined ? {} : { grant: decision.grant.id }),
  }
}

/** Properties are left out: they may hold what the mapping took from a body. */
const actionAndResource = ({ action, resource }: AccessRequest) => ({
  action: { name: action.name },
  resource: { type: resource.type, id: resource.id },
})

/**
 * Whole seconds, rounded down; in the last second of a grant the fraction stays, or it would be over on arrival.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7519#section-2 NumericDate: "non-integer values can be represented"
 */
const numericDate = (nowMs: number, atMs: number): number => {
  const whole = Math.floor(atMs / 1000)
  return whole * 1000 > nowMs ? whole : atMs / 1000
}
