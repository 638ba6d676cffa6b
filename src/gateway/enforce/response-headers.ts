import type { HeaderPairs } from '../../core/headers.ts'
import { isOwnCookie } from '../../core/own-cookies.ts'
import { HOP_BY_HOP, namedByConnection } from './hop-by-hop.ts'

/** Never in a trailer section: framing, routing, and what must be known before the content. */
const NOT_IN_TRAILERS: ReadonlySet<string> = new Set([
  ...HOP_BY_HOP,
  ...['authorization', 'content-encoding', 'content-length', 'content-range', 'content-type', 'host'],
  ...['location', 'set-cookie', 'trailer', 'www-authenticate'],
])

/** What a field value may hold; anything else would split or corrupt the caller's answer. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

/** An application's fields as Latin-1 text, in the form that undici gives: name, value, name, value. */
export const rawPairs = (raw: unknown): HeaderPairs => {
  if (!Array.isArray(raw)) return []
  return raw.map((part: unknown) => (Buffer.isBuffer(part) ? part.toString('latin1') : String(part)))
}

/**
 * The fields of an application's answer that the caller gets, in order, with their spelling and repetition.
 *
 * @param pairs what the application sent.
 * @param options.trailers false when the answer cannot have a trailer section, so that none may be announced.
 * The gateway's own cookies are not the application's to set.
 *
 * @returns null when the answer cannot be passed on: a transfer coding that was not undone, or a control character.
 * Does not check: that a body fits its `Content-Length` (undici does).
 */
export const responseHeaders = (
  pairs: HeaderPairs,
  options: { readonly trailers: boolean },
): string[] | null => {
  const named = namedByConnection(connectionValues(pairs))
  const out: string[] = []
  let coded = false
  let sized = false
  let trailerAt = -1
  for (let index = 0; index < pairs.length; index += 2) {
    const name = pairs[index] ?? ''
    const value = pairs[index + 1] ?? ''
    const lowerName = name.toLowerCase()
    if (lowerName === 'transfer-encoding') {
      if (coded || value.trim().toLowerCase() !== 'chunked') return null
      coded = true
    }
    if (!FIELD_VALUE.test(value)) return null
    if (HOP_BY_HOP.has(lowerName) || lowerName.startsWith('sallyport-') || named.has(lowerName)) continue
    if (lowerName === 'set-cookie' && isOwnCookie(nameOfCookie(value))) continue
    if (lowerName === 'content-length') sized = true
    if (lowerName === 'trailer') trailerAt = out.length
    out.push(name, value)
  }
  // A trailer section needs the chunked coding, and so an answer without a length.
  if (trailerAt !== -1 && (sized || !options.trailers)) return withoutTrailer(out)
  return out
}

// A cookie without a name comes back as its value alone, and so may look like another one (RFC 6265bis section 5.7).
const nameOfCookie = (setCookie: string): string => {
  const [pair = ''] = setCookie.split(';', 1)
  return (pair.replace(LEADING, '').split('=', 1)[0] ?? '').trim()
}

const LEADING = /^[\s=]+/

/** The fields of a trailer section that the caller gets. */
export const responseTrailers = (pairs: HeaderPairs): string[] => {
  const out: string[] = []
  for (let index = 0; index < pairs.length; index += 2) {
    const name = pairs[index] ?? ''
    const value = pairs[index + 1] ?? ''
    const lowerName = name.toLowerCase()
    if (NOT_IN_TRAILERS.has(lowerName) || lowerName.startsWith('sallyport-')) continue
    if (FIELD_VALUE.test(value)) out.push(name, value)
  }
  return out
}

/**
 * Adds cookies of the gateway's own to the fields of an answer, which then is for nobody else.
 *
 * @param headers are written to.
 */
export const addCookies = (headers: string[], setCookies: readonly string[]): void => {
  if (setCookies.length === 0) return
  for (let index = headers.length - 2; index >= 0; index -= 2) {
    if (CACHING.has(headers[index]?.toLowerCase() ?? '')) headers.splice(index, 2)
  }
  headers.push('Cache-Control', 'no-store')
  for (const cookie of setCookies) headers.push('Set-Cookie', cookie)
}

const CACHING: ReadonlySet<string> = new Set(['cache-control', 'cdn-cache-control', 'expires', 'pragma'])

const PRINTABLE = /^[\t\x20-\x7e]*$/

/** The reason phrase if it can be passed on, else an empty one. */
export const reasonPhrase = (text: string | undefined): string =>
  text !== undefined && PRINTABLE.test(text) ? text : ''

const connectionValues = (pairs: HeaderPairs): readonly string[] => {
  const values: string[] = []
  for (let index = 0; index < pairs.length; index += 2) {
    const name = pairs[index]
    if (name?.length === 10 && name.toLowerCase() === 'connection') values.push(pairs[index + 1] ?? '')
  }
  return values
}

const withoutTrailer = (pairs: HeaderPairs): string[] => {
  const out: string[] = []
  for (let index = 0; index < pairs.length; index += 2) {
    if (pairs[index]?.toLowerCase() !== 'trailer') out.push(pairs[index] ?? '', pairs[index + 1] ?? '')
  }
  return out
}
