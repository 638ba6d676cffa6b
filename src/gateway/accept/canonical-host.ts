import { isIPv6 } from 'node:net'

/** A host as it is compared: lower case, without the trailing dot. */
export interface CanonicalHost {
  /** A name, an IPv4 address, or an IPv6 address in brackets. */
  readonly host: string
  /** Digits, or empty when none was given. */
  readonly port: string
  /** `host` or `host:port`. */
  readonly authority: string
}

const MAX_LENGTH = 255
const PORT = /^[1-9][0-9]{0,4}$/

/**
 * Makes the one spelling of a Host field or an authority; null when it is neither a name nor an address.
 *
 * Of what RFC 3986 calls a reg-name only letters, digits, `-`, `_` and `.` pass: whoever gets the rest in
 * `Forwarded` or in a URL may read it as something else. User information is never accepted.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-7.2
 */
export const canonicalHost = (text: string): CanonicalHost | null => {
  if (text.startsWith('[')) return canonicalIpv6(text)
  const colon = text.indexOf(':')
  const port = colon === -1 ? '' : text.slice(colon + 1)
  const host = canonicalName(colon === -1 ? text : text.slice(0, colon))
  if (host === null || (colon !== -1 && !isPort(port))) return null
  return { host, port, authority: colon === -1 ? host : `${host}:${port}` }
}

const isPort = (text: string): boolean => PORT.test(text) && Number(text) <= 65_535

const canonicalName = (text: string): string | null => {
  const name = text.endsWith('.') ? text.slice(0, -1) : text
  if (name.length === 0 || name.length > MAX_LENGTH) return null
  let upper = false
  let afterDot = true
  for (let index = 0; index < name.length; index += 1) {
    const code = name.charCodeAt(index)
    if (code === 0x2e) {
      if (afterDot) return null
      afterDot = true
      continue
    }
    afterDot = false
    if (code >= 0x41 && code <= 0x5a) upper = true
    else if (!isNameCharacter(code)) return null
  }
  if (afterDot) return null
  return upper ? name.toLowerCase() : name
}

const isNameCharacter = (code: number): boolean =>
  (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39) || code === 0x2d || code === 0x5f

const canonicalIpv6 = (text: string): CanonicalHost | null => {
  const close = text.indexOf(']')
  const address = text.slice(1, close)
  if (close === -1 || address.includes('%') || !isIPv6(address)) return null
  const host = new URL(`http://[${address}]`).hostname
  const tail = text.slice(close + 1)
  if (tail === '') return { host, port: '', authority: host }
  const port = tail.slice(1)
  return tail.startsWith(':') && isPort(port) ? { host, port, authority: `${host}:${port}` } : null
}
