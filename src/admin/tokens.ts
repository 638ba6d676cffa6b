import { createHash, timingSafeEqual } from 'node:crypto'
import type { AdminConfig, Permission } from '../config/configuration.ts'

/** A token that is configured, as a caller who has it is known. */
export interface TokenHolder {
  readonly name: string
  readonly may: readonly Permission[]
}

/** A bearer token that a request came with; only its digest is kept. */
export type PresentedToken = Buffer

const BEARER = /^bearer +([\x21-\x7e]+) *$/i

/**
 * Reads the one way in which a token is taken.
 *
 * @param fields every `Authorization` field of the request.
 * @returns null when there is none, more than one, or another scheme.
 * @see https://www.rfc-editor.org/rfc/rfc6750#section-2.1
 */
export const presentedToken = (fields: readonly string[]): PresentedToken | null => {
  const [only = ''] = fields
  const token = fields.length === 1 ? BEARER.exec(only)?.[1] : undefined
  return token === undefined ? null : digestOf(token)
}

const digestOf = (token: string): Buffer => createHash('sha256').update(token).digest()

/** The digests of a configuration's tokens: made once, since a configuration is never changed. */
const digests = new WeakMap<AdminConfig['tokens'], readonly Buffer[]>()

/** Who has this token. Takes as long whichever it is like: digests are compared, and all of them. */
export const holderOf = (presented: PresentedToken, tokens: AdminConfig['tokens']): TokenHolder | null => {
  let known = digests.get(tokens)
  if (known === undefined) {
    known = tokens.map(({ token }) => digestOf(token.reveal()))
    digests.set(tokens, known)
  }
  let holder: TokenHolder | null = null
  for (const [index, digest] of known.entries()) {
    const isIt = timingSafeEqual(digest, presented)
    const entry = tokens[index]
    if (isIt && entry !== undefined) holder = { name: entry.name, may: entry.may }
  }
  return holder
}
