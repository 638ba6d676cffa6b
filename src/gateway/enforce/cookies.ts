/**
 * A `Cookie` value without some cookies; what remains keeps its very bytes.
 *
 * @param names case-sensitive, as cookies are.
 * @returns null when nothing remains.
 * @see https://www.rfc-editor.org/rfc/rfc6265#section-4.2.1
 */
export const cutCookies = (value: string, names: ReadonlySet<string>): string | null => {
  const parts = value.split(';')
  const kept = parts.filter((part) => !names.has(nameOf(part)))
  if (kept.length === parts.length) return value
  const remaining = kept.join(';').trim()
  return remaining === '' ? null : remaining
}

const nameOf = (part: string): string => {
  const end = part.indexOf('=')
  return (end === -1 ? part : part.slice(0, end)).trim()
}
