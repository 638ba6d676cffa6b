import type { HeaderPairs } from '../../core/headers.ts'

/** What a request's fields say of its framing and its host. */
export interface CheckedHeaders {
  /** Names in lower case, one a field. */
  readonly names: readonly string[]
  /** Of the one Host field. */
  readonly host: string
}

/** Why the fields are not taken; quotes no value. */
export interface HeaderMistake {
  readonly mistake: string
}

export const isHeaderMistake = (value: object): value is HeaderMistake => 'mistake' in value

/** Fields that Sallyport always sets, consumes or believes; besides `sallyport-*` and `x-forwarded-*`. */
const ALWAYS_GUARDED = [
  ...[
    'authorization',
    'client-cert',
    'client-cert-chain',
    'connection',
    'content-encoding',
    'content-length',
    'content-type',
    'cookie',
  ],
  ...[
    'expect',
    'forwarded',
    'host',
    'http2-settings',
    'keep-alive',
    'origin',
    'proxy',
    'proxy-authorization',
  ],
  ...['proxy-connection', 'te', 'trailer', 'transfer-encoding', 'true-client-ip', 'upgrade', 'via'],
  ...['x-http-method', 'x-http-method-override', 'x-method-override', 'x-original-url', 'x-real-ip'],
  ...['x-rewrite-url', 'traceparent'],
]
const GUARDED_PREFIXES = ['sallyport-', 'x-forwarded-']

const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
const DIGITS = /^[0-9]{1,15}$/
const ODD = /[^a-z0-9-]/g

const CLASS_NONE = 0
const CLASS_PLAIN = 1
const CLASS_ODD = 2

/** Of each ASCII character: none of a token, a letter, digit or hyphen, or another one of a token. */
const TOKEN_CLASSES: Uint8Array = Uint8Array.from({ length: 128 }, (_, code) => {
  const character = String.fromCharCode(code)
  if (/^[A-Za-z0-9-]$/.test(character)) return CLASS_PLAIN
  return /^[!#$%&'*+.^_`|~]$/.test(character) ? CLASS_ODD : CLASS_NONE
})

/**
 * Makes the check of a request's fields: names, values, framing, Host, and names that others take for another.
 *
 * Many servers make variables of headers and turn `_` and `.` into `-` or the other way round, so that
 * `X_Real_IP` arrives as `X-Real-IP`. Such an alias of a guarded name is refused.
 *
 * @param guardedHeaders lower-case names that Sallyport sets, believes, or takes credentials from.
 * @see https://www.rfc-editor.org/rfc/rfc9112#section-6.3
 */
export const createHeaderCheck = (
  guardedHeaders: ReadonlySet<string>,
): ((headers: HeaderPairs, httpVersion: '1.0' | '1.1') => CheckedHeaders | HeaderMistake) => {
  const isAlias = createAliasCheck(guardedHeaders)
  return (headers, httpVersion) => {
    const names: string[] = []
    for (let index = 0; index < headers.length; index += 2) {
      const name = headers[index] ?? ''
      const nameClass = classOf(name)
      if (nameClass === CLASS_NONE) return { mistake: 'a header name that is not a token' }
      if (!VALUE.test(headers[index + 1] ?? '')) return { mistake: 'a control character in a header value' }
      const lowerName = name.toLowerCase()
      if (isAlias(lowerName, nameClass))
        return { mistake: 'an alias of a header that is not for callers to set' }
      names.push(lowerName)
    }
    const mistake = framingMistake(headers, names, httpVersion)
    if (mistake !== null) return { mistake }
    const at = names.indexOf('host')
    if (at === -1) return { mistake: 'no Host header' }
    if (names.includes('host', at + 1)) return { mistake: 'several Host headers' }
    const authorizationAt = names.indexOf('authorization')
    if (authorizationAt !== -1 && names.includes('authorization', authorizationAt + 1)) {
      return { mistake: 'several Authorization headers' }
    }
    return { names, host: headers[2 * at + 1] ?? '' }
  }
}

const classOf = (name: string): number => {
  let worst = name.length === 0 ? CLASS_NONE : CLASS_PLAIN
  for (let index = 0; index < name.length; index += 1) {
    const characterClass = TOKEN_CLASSES[name.charCodeAt(index)] ?? CLASS_NONE
    if (characterClass === CLASS_NONE) return CLASS_NONE
    if (characterClass === CLASS_ODD) worst = CLASS_ODD
  }
  return worst
}

const createAliasCheck = (
  guardedHeaders: ReadonlySet<string>,
): ((lowerName: string, nameClass: number) => boolean) => {
  const guarded = new Set([...ALWAYS_GUARDED, ...guardedHeaders])
  const plain = new Map<string, string>()
  for (const name of guarded) plain.set(name.replace(ODD, '-'), name)
  // A guarded name may itself have an underscore: then its hyphenated form is the alias.
  const someAreOdd = [...guarded].some((name) => classOf(name) === CLASS_ODD)
  return (lowerName, nameClass) => {
    if (nameClass === CLASS_PLAIN && !someAreOdd) return false
    if (guarded.has(lowerName)) return false
    const folded = nameClass === CLASS_ODD ? lowerName.replace(ODD, '-') : lowerName
    if (plain.has(folded)) return true
    return nameClass === CLASS_ODD && GUARDED_PREFIXES.some((prefix) => folded.startsWith(prefix))
  }
}

const framingMistake = (
  headers: HeaderPairs,
  names: readonly string[],
  httpVersion: '1.0' | '1.1',
): string | null => {
  const codingAt = names.indexOf('transfer-encoding')
  const lengthAt = names.indexOf('content-length')
  if (codingAt !== -1) {
    if (lengthAt !== -1) return 'Content-Length with Transfer-Encoding'
    if (httpVersion === '1.0') return 'Transfer-Encoding in HTTP/1.0'
    if (names.includes('transfer-encoding', codingAt + 1)) return 'several Transfer-Encoding headers'
    if (headers[2 * codingAt + 1]?.toLowerCase() !== 'chunked')
      return 'a Transfer-Encoding other than chunked'
  }
  if (lengthAt !== -1) {
    if (names.includes('content-length', lengthAt + 1)) return 'several Content-Length headers'
    if (!DIGITS.test(headers[2 * lengthAt + 1] ?? '')) return 'an invalid Content-Length'
  }
  return null
}
