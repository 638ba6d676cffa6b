import type { Credential, Identity } from '../../core/identity.ts'
import type { JsonObject, JsonValue } from '../../core/json.ts'
import { isRefusal, type Refusal } from '../../core/refusals.ts'
import { actorsOf, withActors } from './actors.ts'
import { badCredential } from './authenticator.ts'
import { DIGEST_ID_LENGTH } from './credential-digest.ts'
import type { ToSubject } from './subject.ts'

/** A longer `jti` or `sid` is not repeated in every record. */
const MOST_ID_LENGTH = 256

/**
 * Who a token with these verified claims stands for, and who acts for them.
 *
 * @param digest that of the credential, in the context of its authenticator.
 */
export const identityOfToken = (
  type: string,
  authenticator: string,
  claims: JsonObject,
  digest: string,
  toSubject: ToSubject,
): Identity | Refusal => {
  const actors = actorsOf(claims)
  if (typeof actors === 'string') return badCredential(authenticator, actors)
  const subject = toSubject(claims)
  if (isRefusal(subject)) return subject
  const credential = credentialOf(type, authenticator, claims, digest)
  return { subject: withActors(subject, actors), credential, claims }
}

const credentialOf = (
  type: string,
  authenticator: string,
  claims: JsonObject,
  digest: string,
): Credential => {
  const { jti, iss, iat, exp, auth_time: loggedInAt, sid } = claims
  return {
    type,
    authenticator,
    id: isShortId(jti) ? jti : digest.slice(0, DIGEST_ID_LENGTH),
    ...(typeof iss === 'string' ? { issuer: iss } : {}),
    ...(typeof iat === 'number' ? { issuedAt: iat } : {}),
    ...(typeof exp === 'number' ? { expiresAt: exp } : {}),
    ...(typeof loggedInAt === 'number' && Number.isFinite(loggedInAt) ? { authenticatedAt: loggedInAt } : {}),
    ...(isShortId(sid) ? { session: sid } : {}),
    digest,
  }
}

const isShortId = (id: JsonValue | undefined): id is string =>
  typeof id === 'string' && id !== '' && id.length <= MOST_ID_LENGTH
