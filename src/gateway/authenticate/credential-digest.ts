import { hash } from 'node:crypto'

/**
 * The digest of a credential in the context of its authenticator, for `Credential.digest`.
 *
 * It differs from the plain digest of the credential, which a keys file stores, so that a record that
 * shows a part of it says nothing about that file.
 *
 * @param digest SHA-256 of the credential, in hex.
 */
export const credentialDigest = (authenticator: string, digest: string): string =>
  hash('sha256', `${authenticator.length}:${authenticator}${digest}`, 'hex')

/** How many characters of the digest name a credential that has no id of its own. */
export const DIGEST_ID_LENGTH = 16
