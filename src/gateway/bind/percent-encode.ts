// Of what may stand raw in a path, `&`, `=`, `+` and `;` are encoded too: they mean something in a query.
const NOT_PLAIN = /[^A-Za-z0-9\-._~!$'(),*:@]/gu
const QUERY_DELIMITERS = /[&=+]/g
const CANONICAL = /^(?:[A-Za-z0-9\-._~!$&'()*+,=:@;]|%[0-9A-F]{2})*$/
const HAS_PARAMETERS = /;|%3B/
const HAS_OCTET = /%[0-9A-F]{2}/

const encodeCharacter = (character: string): string => {
  let encoded = ''
  for (const byte of Buffer.from(character, 'utf8')) {
    encoded += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return encoded
}

/**
 * A value as one path segment, or as one value of a query: it can add nothing to either.
 *
 * Does not check for dot segments, which only the whole path can tell.
 *
 * @see https://www.rfc-editor.org/rfc/rfc3986#section-3.3
 */
export const encodeSegment = (value: string): string => value.replace(NOT_PLAIN, encodeCharacter)

/**
 * A capture, encoded again. The tail of a path keeps its slashes.
 *
 * A segment may hold an encoded octet or a `;` only where the route takes such paths (`allowEncodedSlash`,
 * `allowPathParameters`), which keeps the segment encoded: a canonical path has no `%25` before two hex digits,
 * so that decoding cannot have made one. Parameters stay as they came, and are not fit for a query.
 */
export const encodeCapture = (value: string): string => value.split('/').map(encodeCaptured).join('/')

const encodeCaptured = (segment: string): string => {
  if (!CANONICAL.test(segment)) return encodeSegment(segment)
  if (HAS_PARAMETERS.test(segment)) return segment
  return HAS_OCTET.test(segment) ? segment.replace(QUERY_DELIMITERS, encodeCharacter) : encodeSegment(segment)
}
