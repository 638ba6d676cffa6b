import { isOwnCookie } from '../../core/own-cookies.ts'

/**
 * A `Cookie` value without some cookies, and without the gateway's own; what remains keeps its very bytes.
 *
 * @param names case-sensitive, as cookies are.
 * @returns null when nothing remains.
 * @see https://www.rfc-editor.org/rfc/rfc6265#section-4.2.1
 */
export const cutCookies = (value: string, names: ReadonlySet<string>): string | null => {
  if (names.size === 0 && !MAY_BE_OWN.test(value)) return value
  const parts = value.split(';')
  const kept = parts.filter((part) => {
    const name = nameOf(part)
    return !names.has(name) && !isOwnCookie(name)
  })
  if (kept.length === parts.length) return value
  const remaining = kept.join(';').trim()
  return remaining === '' ? null : remaining
}

/** Most cookies are the application's: they need not be taken apart. */
const MAY_BE_OWN = /sallyport-/i

const nameOf = (part: string): string => {
  const end = part.indexOf('=')
  return (end === -1 ? part : part.slice(0, end)).trim()
}
