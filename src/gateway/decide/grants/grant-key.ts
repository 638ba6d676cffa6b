import type { AccessRequest, Subject } from '../../../core/access-request.ts'
import { canonicalText, canonicalTextWithout, hashText } from '../../../core/canonical-hash.ts'
import type { Credential, Identity } from '../../../core/identity.ts'
import type { RouteGrantConfig } from '../config.ts'

/** What makes the grants of one route its own. */
export interface GrantScope {
  readonly route: string
  readonly engine: string
  readonly engineType: string
  /** Of the engine; empty where its policy version says all. */
  readonly configuration: string
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
  identity: Pick<Identity, 'credential' | 'subject'>,
  accessRequests: readonly AccessRequest[],
): string => {
  let text = `${scopeText}${canonicalText(policyVersion)}${credentialText(identity.credential)}a${accessRequests.length}:`
  for (const asked of accessRequests)
    text += subjectText(asked.subject, identity) + canonicalTextWithout(asked, 'subject')
  return hashText(text)
}

// A verified identity serves many requests, and is never changed.
const credentialTexts = new WeakMap<Credential, string>()
const subjectTexts = new WeakMap<Subject, string>()

const credentialText = (credential: Credential): string => {
  const known = credentialTexts.get(credential)
  if (known !== undefined) return known
  const { type, authenticator, digest, expiresAt } = credential
  const text = canonicalText([type, authenticator, digest, expiresAt ?? null])
  credentialTexts.set(credential, text)
  return text
}

/** A subject to which a route has added properties is made for one request, and not worth remembering. */
const subjectText = (subject: Subject, identity: Pick<Identity, 'subject'>): string => {
  if (subject !== identity.subject) return canonicalText(subject)
  const known = subjectTexts.get(subject)
  if (known !== undefined) return known
  const text = canonicalText(subject)
  subjectTexts.set(subject, text)
  return text
}
