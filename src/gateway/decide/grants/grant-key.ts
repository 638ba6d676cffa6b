import type { AccessRequest } from '../../../core/access-request.ts'
import { canonicalText, hashText } from '../../../core/canonical-hash.ts'
import type { Credential } from '../../../core/identity.ts'
import type { RouteGrantConfig } from '../config.ts'

/** What makes the grants of one route its own. */
export interface GrantScope {
  readonly route: string
  readonly engine: string
  readonly engineType: string
  readonly mappingHash: string
  readonly grant: RouteGrantConfig
}

/** The part of a key that is the same for all requests of a route. */
export const grantScopeText = (scope: GrantScope): string => canonicalText(['grant', 1, scope])

/**
 * The key of a grant: it fits nothing but the very same question by the very same credential.
 *
 * @param scopeText from `grantScopeText`.
 * @returns SHA-256 in base64url.
 */
export const grantKey = (
  scopeText: string,
  policyVersion: string,
  { type, authenticator, digest, expiresAt }: Credential,
  accessRequests: readonly AccessRequest[],
): string =>
  hashText(
    scopeText +
      canonicalText([policyVersion, type, authenticator, digest, expiresAt ?? null]) +
      canonicalText(accessRequests),
  )
