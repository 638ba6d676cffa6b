import type { CanonicalRequest } from '../../core/request.ts'
import { foldCase } from '../../core/strict-json.ts'
import { decodeUtf8 } from './pairs.ts'

/**
 * The headers that a mapping reads, or what makes one of them ambiguous.
 *
 * Values are UTF-8, which is what most senders of other letters mean. A header that is not there is left out.
 *
 * @param names in lower case.
 */
export const readHeaders = (
  request: CanonicalRequest,
  names: ReadonlySet<string>,
): { readonly values: ReadonlyMap<string, string> } | { readonly problem: string } => {
  const values = new Map<string, string>()
  for (const [index, name] of request.names.entries()) {
    if (!names.has(name)) continue
    if (values.has(name)) return { problem: `the header ${name} came more than once` }
    const value = decodeUtf8(Buffer.from(request.headers[2 * index + 1] ?? '', 'latin1'))
    if (value === null) return { problem: `the header ${name} is not UTF-8` }
    if (name === 'cookie' && hasRepeatedCookie(value)) return { problem: 'a cookie came more than once' }
    values.set(name, value)
  }
  return { values }
}

const hasRepeatedCookie = (value: string): boolean => {
  const names = new Set<string>()
  for (const part of value.split(';')) {
    const name = foldCase((part.split('=', 1)[0] ?? '').trim())
    if (names.has(name)) return true
    names.add(name)
  }
  return false
}
