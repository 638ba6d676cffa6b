import type { Subject } from './access-request.ts'
import type { JsonObject } from './json.ts'

/** What proved the subject. Holds no secret: it goes into records. */
export interface Credential {
  /** The kind of the authenticator: `jwt`, `api-key`, `anonymous`. */
  readonly type: string
  readonly authenticator: string
  /** `jti`, key id, or the start of the digest. */
  readonly id: string
  readonly issuer?: string
  /** Seconds since the epoch. */
  readonly issuedAt?: number
  /** Seconds since the epoch. */
  readonly expiresAt?: number
  /** When the caller proved who he is (`auth_time`), which a refreshed credential does not change. Seconds since the epoch. */
  readonly authenticatedAt?: number
  /** The login that it belongs to: `sid` or a browser session's id. */
  readonly session?: string
  /** What the provider was asked for at the sign-in, as query text; left out: it was no sign-in, or an ordinary one. */
  readonly askedFor?: string
  /** True when it should have been replaced by now; left out: nobody says when it should. */
  readonly rotationDue?: boolean
  /** SHA-256 (hex) that tells this very credential from every other; part of grant keys. */
  readonly digest: string
}

/** A verified caller. */
export interface Identity {
  readonly subject: Subject
  readonly credential: Credential
  /** Verified claims only. */
  readonly claims: JsonObject
  /** `Set-Cookie` values for the answer to this very request, whatever it is; left out: none. */
  readonly setCookies?: readonly string[]
}
