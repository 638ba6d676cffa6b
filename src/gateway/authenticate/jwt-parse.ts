import type { JsonObject, JsonValue } from '../../core/json.ts'
import { parseStrictJson } from '../../core/strict-json.ts'
import type { Presented } from './authenticator.ts'

/** A token in which nothing is verified but its form. */
export interface ParsedJwt {
  /** The text as it came. */
  readonly compact: string
  readonly alg: string
  readonly kid: string | undefined
  /** Lower case, without `application/`; empty when there is none. */
  readonly typ: string
  readonly claims: JsonObject
  /** The whole header; what it says of keys is the sender's word only. */
  readonly header: JsonObject
}

/** Longer tokens are refused unread, in characters. */
export const MOST_TOKEN_LENGTH = 16_384

const BASE64URL = /^[A-Za-z0-9_-]+$/
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Reads a JWT in compact form as strictly as can be, so that no other reader can have seen another token.
 *
 * Refused are parts other than three, base64url that is padded or not canonical, UTF-8 or JSON that is
 * broken or ambiguous (duplicate members), and header members that change how the rest is read.
 * `jku`, `jwk`, `x5u` and `x5c` are ignored: a token does not choose its own key.
 *
 * @returns the token, or what is wrong with it, without any part of it.
 * Does not check: the signature, and the claims.
 * @see https://www.rfc-editor.org/rfc/rfc7519#section-7.2
 * @see https://www.rfc-editor.org/rfc/rfc8725
 */
export const parseJwt = (compact: string): ParsedJwt | string => {
  if (compact === '') return 'the token is empty'
  if (compact.length > MOST_TOKEN_LENGTH) return `the token has more than ${MOST_TOKEN_LENGTH} characters`
  const parts = compact.split('.', 4)
  const [header = '', payload = '', signature = ''] = parts
  if (parts.length !== 3) return 'the token does not have exactly three parts'
  if (decode(signature) === null) return 'the signature is not canonical base64url'
  const head = parseObject(header, 'the header')
  if (typeof head === 'string') return head
  const claims = parseObject(payload, 'the payload')
  if (typeof claims === 'string') return claims
  return readHeader(head.object, compact, claims.object)
}

const parsed = new WeakMap<Presented, ParsedJwt | string>()

/** `parseJwt` of what was presented, done once however many authenticators look at it. */
export const parsePresented = (presented: Presented): ParsedJwt | string => {
  const known = parsed.get(presented)
  if (known !== undefined) return known
  const fresh = parseJwt(presented.value)
  parsed.set(presented, fresh)
  return fresh
}

const decode = (part: string): Buffer | null => {
  if (!BASE64URL.test(part)) return null
  const bytes = Buffer.from(part, 'base64url')
  // Unused bits must be zero and no character may be left over, or many texts would be one token.
  return bytes.toString('base64url') === part ? bytes : null
}

const parseObject = (part: string, what: string): { readonly object: JsonObject } | string => {
  const bytes = decode(part)
  if (bytes === null) return `${what} is not canonical base64url`
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    return `${what} is not UTF-8`
  }
  // Names of claims are compared with case (RFC 7519 section 10.1.1), so only equal ones are duplicates.
  const json = parseStrictJson(text, { caseInsensitiveDuplicates: false })
  if ('problem' in json) return `${what} is not acceptable JSON: ${json.problem}`
  return isObject(json.value) ? { object: json.value } : `${what} is not a JSON object`
}

const isObject = (value: JsonValue): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const readHeader = (header: JsonObject, compact: string, claims: JsonObject): ParsedJwt | string => {
  const { alg, kid, typ } = header
  if (typeof alg !== 'string') return 'the header has no alg'
  if (kid !== undefined && typeof kid !== 'string') return 'the kid is not a string'
  if (typ !== undefined && typeof typ !== 'string') return 'the typ is not a string'
  const problem = extensionProblem(header)
  if (problem !== null) return problem
  return { compact, alg, kid, typ: normaliseTyp(typ ?? ''), claims, header }
}

/** @see https://www.rfc-editor.org/rfc/rfc7515#section-4.1.11 and https://www.rfc-editor.org/rfc/rfc7797#section-3 */
const extensionProblem = ({ crit, b64 }: JsonObject): string | null => {
  if (b64 !== undefined && b64 !== true) return 'the header says that the payload is not encoded'
  if (crit === undefined) return null
  const understood = Array.isArray(crit) && crit.length === 1 && crit[0] === 'b64' && b64 === true
  return understood ? null : 'the header has a critical extension that is not supported'
}

const normaliseTyp = (typ: string): string => typ.toLowerCase().replace(/^application\/(?=[^/]*$)/, '')
