import { isUtf8 } from 'node:buffer'
import { foldCase } from '../../core/strict-json.ts'

/** What of a query or a form is read: some keys, or all there is. */
export type Wanted = ReadonlySet<string> | 'all'

const ENCODED = /%([0-9A-Fa-f]{2})?/g

/**
 * The wanted keys of `a=b&c=d` text, decoded, or what makes them ambiguous.
 *
 * Refused are a wanted key that is there twice (also but for case), and what another parser could take for
 * one: a raw `;`, at which some split too, and keys that do not decode or hold NUL. `a[]` is not `a`.
 * Keys that are not wanted and repeated are left out.
 *
 * @param text without the leading `?`.
 * @see https://url.spec.whatwg.org/#urlencoded-parsing
 */
export const readPairs = (
  text: string,
  wanted: Wanted,
): { readonly values: ReadonlyMap<string, string> } | { readonly problem: string } => {
  const isWanted = wantedTest(wanted)
  const found = new Map<string, { readonly key: string; readonly value: string }>()
  const repeated = new Set<string>()
  for (const pair of text.split('&')) {
    if (pair === '') continue
    const parts = pair.split(';')
    for (const part of parts) {
      const key = decode(part.split('=', 1)[0] ?? '')
      if (key === null || key.includes('\0')) return { problem: 'a key that cannot be decoded' }
      const folded = foldCase(key)
      if (isWanted(folded) && parts.length > 1) return { problem: 'a semicolon that may separate keys' }
      if (isWanted(folded) && found.has(folded)) return { problem: 'a repeated key' }
      if (found.has(folded)) repeated.add(folded)
      const value = decode(part.includes('=') ? part.slice(part.indexOf('=') + 1) : '')
      if (value === null && isWanted(folded)) return { problem: 'a value that cannot be decoded' }
      found.set(folded, { key, value: value ?? '' })
    }
  }
  const values = new Map<string, string>()
  for (const [folded, { key, value }] of found) {
    if (isWanted(folded) && !repeated.has(folded)) values.set(key, value)
  }
  return { values }
}

const wantedTest = (wanted: Wanted): ((folded: string) => boolean) => {
  if (wanted === 'all') return () => true
  const keys = new Set([...wanted].map(foldCase))
  return (folded) => keys.has(folded)
}

/** Null for a `%` without two hex digits, and for what is not UTF-8. */
const decode = (text: string): string | null => {
  const spaced = text.replaceAll('+', ' ')
  if (!spaced.includes('%')) return spaced
  for (const [, digits] of spaced.matchAll(ENCODED)) if (digits === undefined) return null
  try {
    return decodeURIComponent(spaced)
  } catch {
    return null
  }
}

/** Bytes as text, or null when they are not UTF-8. A byte order mark stays. */
export const decodeUtf8 = (bytes: Buffer): string | null => (isUtf8(bytes) ? bytes.toString('utf8') : null)
