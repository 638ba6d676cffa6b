import type { HeaderPairs } from '../../core/headers.ts'

const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$/

/**
 * The caller's `traceparent` when there is exactly one and it is well-formed.
 *
 * @see https://www.w3.org/TR/trace-context/#traceparent-header
 */
export const readTraceparent = (headers: HeaderPairs, names: readonly string[]): string | null => {
  const at = names.indexOf('traceparent')
  if (at === -1 || names.includes('traceparent', at + 1)) return null
  const value = headers[2 * at + 1] ?? ''
  const found = TRACEPARENT.exec(value)
  // Version 00 ends after the flags; later ones may go on.
  if (found === null || value.length > 256 || (value.startsWith('00') && found[1] !== undefined)) return null
  return value
}
