import type { HeaderPairs } from '../../core/headers.ts'

/**
 * Fields that are about one connection, with those of HTTP's past.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1
 */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
])

/**
 * Fields that are meant for the recipient of the content: naming one in `Connection` is an attack or a mistake.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1 "A sender MUST NOT send a connection option
 * corresponding to a field that is intended for all recipients of the content"
 */
const END_TO_END: ReadonlySet<string> = new Set([
  ...['accept', 'accept-charset', 'accept-encoding', 'accept-language', 'accept-ranges', 'age', 'allow'],
  ...['authorization', 'cache-control', 'cookie', 'date', 'etag', 'expires', 'forwarded', 'from', 'host'],
  ...['content-disposition', 'content-encoding', 'content-language', 'content-length', 'content-location'],
  ...['content-range', 'content-security-policy', 'content-type', 'if-match', 'if-modified-since'],
  ...['if-none-match', 'if-range', 'if-unmodified-since', 'last-modified', 'location', 'max-forwards'],
  ...['origin', 'pragma', 'range', 'referer', 'retry-after', 'server', 'set-cookie', 'traceparent'],
  ...['strict-transport-security', 'tracestate', 'user-agent', 'vary', 'via', 'www-authenticate'],
])

const NOTHING: ReadonlySet<string> = new Set()

/**
 * The fields that a message's own `Connection` names, lower case, but for those that it has no say in.
 *
 * @param kept more names that `Connection` cannot take away.
 */
export const namedByConnection = (
  values: readonly string[],
  kept: ReadonlySet<string> = NOTHING,
): ReadonlySet<string> => {
  if (values.length === 0) return NOTHING
  const [only] = values
  if (values.length === 1 && (only === 'keep-alive' || only === 'close')) return NOTHING
  const named = new Set<string>()
  for (const option of values.join(',').split(',')) {
    const name = option.trim().toLowerCase()
    if (name !== '' && !END_TO_END.has(name) && !kept.has(name)) named.add(name)
  }
  return named
}

/** True when a list field, such as `TE`, has this token; parameters are not looked at. */
export const listHas = (value: string, token: string): boolean =>
  value.split(',').some((item) => item.split(';', 1)[0]?.trim().toLowerCase() === token)

/** True when the message has a body, or says that it has. */
export const hasBody = (pairs: HeaderPairs): boolean => {
  for (let index = 0; index < pairs.length; index += 2) {
    const name = pairs[index] ?? ''
    // Lengths first: nearly every field is ruled out without being copied.
    if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') return true
    if (name.length !== 14 || name.toLowerCase() !== 'content-length') continue
    if (!/^0*$/.test(pairs[index + 1] ?? '')) return true
  }
  return false
}
