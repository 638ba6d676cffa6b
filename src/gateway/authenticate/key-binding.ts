import { isJsonObject, type JsonObject } from '../../core/json.ts'

/** What a token is bound to: whoever presents it must show that they hold all of it. */
export interface KeyBinding {
  /** Thumbprint of the key of a DPoP proof. @see https://www.rfc-editor.org/rfc/rfc9449#section-6.1 */
  readonly jkt: string | null
  /** Thumbprint of a client certificate. @see https://www.rfc-editor.org/rfc/rfc8705#section-3.1 */
  readonly certificate: string | null
}

const THUMBPRINT = /^[A-Za-z0-9_-]{43}$/

/**
 * Reads the `cnf` claim.
 *
 * @returns null when there is none; a string when it cannot be honoured: then the token must be refused, since
 *   whoever bound it meant that it is not enough by itself.
 * @see https://www.rfc-editor.org/rfc/rfc7800#section-3.1
 */
export const keyBindingOf = ({ cnf }: JsonObject): KeyBinding | null | string => {
  if (cnf === undefined) return null
  if (!isJsonObject(cnf)) return 'cnf is not an object'
  const methods = Object.keys(cnf)
  if (methods.length === 0) return 'cnf is empty'
  if (!methods.every((method) => method === 'jkt' || method === 'x5t#S256')) {
    return 'the token is bound by a method that is not known (cnf)'
  }
  const { jkt = null, 'x5t#S256': certificate = null } = cnf
  if (!isThumbprint(jkt) || !isThumbprint(certificate)) return 'a thumbprint in cnf is none'
  if (jkt === null && certificate === null) return 'cnf is empty'
  return { jkt, certificate }
}

const isThumbprint = (value: unknown): value is string | null =>
  value === null || (typeof value === 'string' && THUMBPRINT.test(value))
