/** What a path contains that only some routes take; everything else that is odd is refused for all. */
export interface PathNeeds {
  /** It holds `%2F`. */
  readonly encodedSlash: boolean
  /** It holds `;` or `%3B`. */
  readonly pathParameters: boolean
}

/** What a route takes, by its keys of the same names. */
export interface PathOptIns {
  readonly allowEncodedSlash: boolean
  readonly allowPathParameters: boolean
}

/** The one spelling of a request target. */
export interface CanonicalTarget {
  readonly path: string
  /** Empty, or starts with `?`. */
  readonly query: string
  /** To be checked by `unmetNeed` once the route is known. */
  readonly needs: PathNeeds
}

/** Why there is no canonical form; safe to show, since it quotes nothing. */
export interface NotCanonical {
  readonly reason: string
}

export const isNotCanonical = (value: object): value is NotCanonical => 'reason' in value

const NO_NEEDS: PathNeeds = { encodedSlash: false, pathParameters: false }

const PERCENT = 0x25
const SLASH = 0x2f
const HASH = 0x23
const BACKSLASH = 0x5c

const refused = (reason: string): NotCanonical => ({ reason })

const BAD_CHARACTER = refused('a raw character that is not printable ASCII')
const FRAGMENT = refused('a fragment')
const BAD_PERCENT = refused('an invalid percent-encoding')
const BAD_UTF8 = refused('a percent-encoding that is not UTF-8')
const CONTROL = refused('an encoded control character')
const DOUBLE = refused('a double percent-encoding')
const DOT_SEGMENT = refused('a dot segment')
const EMPTY_SEGMENT = refused('an empty path segment')

/**
 * Makes the one spelling of an origin-form target: unreserved characters decoded, hex in upper case.
 *
 * Refuses what two parsers could read in two ways. `%2F`, `;` and `%3B` in the path are only noted, in `needs`.
 * The result is its own canonical form. Does not check: length, the other target forms.
 *
 * @see https://www.rfc-editor.org/rfc/rfc3986#section-6.2.2
 */
export const canonicalTarget = (target: string): CanonicalTarget | NotCanonical => {
  const queryAt = target.indexOf('?')
  const path = canonicalPath(queryAt === -1 ? target : target.slice(0, queryAt))
  if (isNotCanonical(path)) return path
  if (queryAt === -1) return { path: path.path, query: '', needs: path.needs }
  const query = canonicalQuery(target.slice(queryAt))
  return typeof query === 'string' ? { path: path.path, query, needs: path.needs } : query
}

/** The path's part of `canonicalTarget`. */
export const canonicalPath = (
  path: string,
): { readonly path: string; readonly needs: PathNeeds } | NotCanonical => {
  if (path.charCodeAt(0) !== SLASH) return refused('a target that does not start with a slash')
  let encoded = false
  let raw = false
  for (let index = 0; index < path.length; index += 1) {
    const code = path.charCodeAt(index)
    if (code <= 0x20 || code > 0x7e) return BAD_CHARACTER
    if (code === PERCENT) encoded = true
    else if (code === 0x3b) raw = true
    else if (code === HASH) return FRAGMENT
    else if (code === BACKSLASH) return refused('a backslash')
    else if (code === 0x3f) return refused('a question mark inside of the path')
  }
  if (!encoded) return finishPath(path, raw ? { encodedSlash: false, pathParameters: true } : NO_NEEDS)
  const text = canonicalPercents(path, pathOctetMistake)
  if (typeof text !== 'string') return text
  if (hasDoubleEncoding(text)) return DOUBLE
  const needs = { encodedSlash: text.includes('%2F'), pathParameters: raw || text.includes('%3B') }
  return finishPath(text, needs)
}

/** The query's part of `canonicalTarget`: starts with `?`, and keeps every reserved character as it was. */
const canonicalQuery = (query: string): string | NotCanonical => {
  let encoded = false
  for (let index = 0; index < query.length; index += 1) {
    const code = query.charCodeAt(index)
    if (code <= 0x20 || code > 0x7e) return BAD_CHARACTER
    if (code === PERCENT) encoded = true
    else if (code === HASH) return FRAGMENT
  }
  return encoded ? canonicalPercents(query, queryOctetMistake) : query
}

const hexValue = (code: number): number => {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const letter = code | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}

/** @see https://www.rfc-editor.org/rfc/rfc3986#section-2.3 */
const isUnreserved = (code: number): boolean =>
  (code >= 0x61 && code <= 0x7a) ||
  (code >= 0x41 && code <= 0x5a) ||
  (code >= 0x30 && code <= 0x39) ||
  code === 0x2d ||
  code === 0x2e ||
  code === 0x5f ||
  code === 0x7e

const pathOctetMistake = (octet: number): NotCanonical | null => {
  if (octet < 0x20 || octet === 0x7f) return CONTROL
  if (octet === BACKSLASH) return refused('an encoded backslash')
  if (octet === 0x3f) return refused('an encoded question mark in the path')
  if (octet === HASH) return refused('an encoded number sign in the path')
  return null
}

// Line ends and tabs are in the text of honest forms; NUL never is, and ends strings of other programs early.
const queryOctetMistake = (octet: number): NotCanonical | null => (octet === 0 ? CONTROL : null)

const canonicalPercents = (
  text: string,
  octetMistake: (octet: number) => NotCanonical | null,
): string | NotCanonical => {
  let out = ''
  let copied = 0
  let ascii = true
  for (let at = text.indexOf('%'); at !== -1; at = text.indexOf('%', at + 3)) {
    const high = hexValue(text.charCodeAt(at + 1))
    const low = hexValue(text.charCodeAt(at + 2))
    if (high < 0 || low < 0) return BAD_PERCENT
    const octet = high * 16 + low
    const mistake = octetMistake(octet)
    if (mistake !== null) return mistake
    if (octet > 0x7f) ascii = false
    const spelling = isUnreserved(octet) ? String.fromCharCode(octet) : text.slice(at, at + 3).toUpperCase()
    out += text.slice(copied, at) + spelling
    copied = at + 3
  }
  out += text.slice(copied)
  if (ascii) return out
  if (!isUtf8(out)) return BAD_UTF8
  // U+0080 to U+009F: control characters too.
  return out.includes('%C2%8') || out.includes('%C2%9') ? CONTROL : out
}

const isUtf8 = (encoded: string): boolean => {
  try {
    decodeURIComponent(encoded)
    return true
  } catch {
    return false
  }
}

/** `%25` before two hex digits: whoever decodes twice sees another path. */
const hasDoubleEncoding = (text: string): boolean => {
  for (let at = text.indexOf('%25'); at !== -1; at = text.indexOf('%25', at + 3)) {
    if (hexValue(text.charCodeAt(at + 3)) >= 0 && hexValue(text.charCodeAt(at + 4)) >= 0) return true
  }
  return false
}

const finishPath = (
  path: string,
  needs: PathNeeds,
): { readonly path: string; readonly needs: PathNeeds } | NotCanonical => {
  // Looked at as by an application that decodes slashes, and that takes parameters off its segments.
  const seen = needs.encodedSlash ? path.replaceAll('%2F', '/') : path
  let start = 1
  while (start <= seen.length) {
    const slash = seen.indexOf('/', start)
    const end = slash === -1 ? seen.length : slash
    const nameEnd = needs.pathParameters ? parametersAt(seen, start, end) : end
    const length = nameEnd - start
    if (length === 0 && (end < seen.length || nameEnd < end)) return EMPTY_SEGMENT
    if (
      length > 0 &&
      length < 3 &&
      seen.charCodeAt(start) === 0x2e &&
      seen.charCodeAt(nameEnd - 1) === 0x2e
    ) {
      return DOT_SEGMENT
    }
    start = end + 1
  }
  return { path, needs }
}

const parametersAt = (path: string, start: number, end: number): number => {
  for (let index = start; index < end; index += 1) {
    const code = path.charCodeAt(index)
    if (code === 0x3b || (code === PERCENT && path.startsWith('%3B', index))) return index
  }
  return end
}

/** Why a route does not take this path, or null when it does. */
export const unmetNeed = (needs: PathNeeds, optIns: PathOptIns): string | null => {
  if (needs.encodedSlash && !optIns.allowEncodedSlash) return 'an encoded slash in the path'
  if (needs.pathParameters && !optIns.allowPathParameters) return 'a semicolon in the path'
  return null
}

/**
 * What a segment of a canonical path says: decoded once.
 *
 * A segment with `%2F`, `;` or `%3B` stays encoded, so that it cannot be taken for several segments.
 */
export const segmentValue = (segment: string): string => {
  if (!segment.includes('%')) return segment
  if (segment.includes('%2F') || segment.includes('%3B') || segment.includes(';')) return segment
  return decodeURIComponent(segment)
}
