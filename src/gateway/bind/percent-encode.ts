const NOT_PCHAR = /[^A-Za-z0-9\-._~!$&'()*+,=:@]/gu
const KEPT_ENCODED = /^(?:[A-Za-z0-9\-._~!$&'()*+,=:@;]|%[0-9A-F]{2})*$/

const encodeCharacter = (character: string): string => {
  let encoded = ''
  for (const byte of Buffer.from(character, 'utf8')) {
    encoded += `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return encoded
}

/**
 * A value as one path segment in canonical form: it cannot add a segment, a query or a fragment.
 *
 * Does not check for dot segments, which only the whole path can tell.
 *
 * @see https://www.rfc-editor.org/rfc/rfc3986#section-3.3
 */
export const encodeSegment = (value: string): string => value.replace(NOT_PCHAR, encodeCharacter)

/**
 * A capture in canonical form. The tail of a path keeps its slashes.
 *
 * What is a canonical segment already stays as it is. It may hold an encoded octet or a `;` only where the
 * route takes such paths (`allowEncodedSlash`, `allowPathParameters`), which keeps the segment encoded: a canonical
 * path has no `%25` before two hex digits, so that decoding cannot have made one.
 */
export const encodeCapture = (value: string): string =>
  value
    .split('/')
    .map((segment) => (KEPT_ENCODED.test(segment) ? segment : encodeSegment(segment)))
    .join('/')
