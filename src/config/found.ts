const SENSITIVE = /secret|token|key|password|passwd|hash|credential|cookie|authorization/i
const HARMLESS = /^[\p{L}\p{N} .:/*{}$_-]{1,40}$/u

/** True when what is written there may be confidential, as far as the names on the way tell. */
export const isSensitive = (path: readonly PropertyKey[]): boolean =>
  path.some((segment) => typeof segment === 'string' && SENSITIVE.test(segment))

/**
 * What was found, for a message.
 *
 * @param mayQuote false when the text may be confidential: only its kind is told then.
 */
export const describeFound = (value: unknown, mayQuote: boolean): string => {
  if (value === undefined || value === null) return 'nothing'
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list'
  if (typeof value === 'object') return 'a map'
  if (typeof value === 'string') {
    if (value === '') return 'an empty string'
    return mayQuote && HARMLESS.test(value) ? `the string ${JSON.stringify(value)}` : 'a string'
  }
  if (!mayQuote) return `a ${typeof value}`
  return typeof value === 'number' ? `the number ${value}` : String(value)
}
