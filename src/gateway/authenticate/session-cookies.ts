import { isLoopback } from '../../core/loopback.ts'
import type { CanonicalRequest } from '../../core/request.ts'

type Place = Pick<CanonicalRequest, 'scheme' | 'host'>

/** Browsers keep 4096 bytes of a cookie, its name included (RFC 6265 section 6.1). */
const MOST_PART_CHARACTERS = 3800
const MOST_PARTS = 3

/** The longest value that fits into the cookies of one session. */
export const MOST_SESSION_CHARACTERS = MOST_PARTS * MOST_PART_CHARACTERS

/**
 * What the gateway's cookies of that name are called for this caller; null where none may be used.
 *
 * `__Host-` keeps other hosts from setting them, and plain http from reading them. Plain http to this very machine
 * has no one on the way.
 *
 * @see https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis#section-4.1.3.2
 */
export const cookieName = (name: string, { scheme, host }: Place): string | null => {
  if (scheme === 'https') return `__Host-sallyport-${name}`
  return isLoopbackHost(host) ? `sallyport-${name}` : null
}

const isLoopbackHost = (host: string): boolean => isLoopback(host) || host.endsWith('.localhost')

/** Name and value of each cookie, in order. */
export const readCookies = (header: string): readonly (readonly [string, string])[] =>
  header.split(';').map((part) => {
    const equals = part.indexOf('=')
    return equals < 0 ? [part.trim(), ''] : [part.slice(0, equals).trim(), part.slice(equals + 1).trim()]
  })

/**
 * The value of a session's cookies, its parts put together.
 *
 * @param header the `Cookie` field.
 * @returns null when there is none; an empty string when they cannot be one session.
 */
export const readSessionCookie = (header: string, name: string, place: Place): string | null => {
  const base = cookieName(name, place)
  if (base === null || !header.includes(base)) return null
  const whole: string[] = []
  const parts = new Map<string, string>()
  let found = 0
  for (const [cookie, value] of readCookies(header)) {
    if (cookie === base) whole.push(value)
    else if (isPart(cookie, base)) parts.set(cookie, value)
    else continue
    found += 1
  }
  if (found === 0) return null
  const [only] = whole
  if (found === 1 && only !== undefined) return only
  if (whole.length > 0 || parts.size !== found || found > MOST_PARTS) return ''
  return Array.from({ length: found }, (_, index) => parts.get(`${base}.${index}`) ?? '').join('')
}

const isPart = (cookie: string, base: string): boolean =>
  cookie.length === base.length + 2 && cookie.startsWith(`${base}.`) && /\d$/.test(cookie)

export interface SessionCookies {
  /** Empty takes the cookies away. */
  readonly value: string
  readonly maxAgeSeconds: number
}

/**
 * The `Set-Cookie` values that replace a session's cookies in the browser, whatever parts it has now.
 *
 * @param header the `Cookie` field of the request, if any.
 * @param value at most `MOST_SESSION_CHARACTERS`.
 */
export const writeSessionCookie = (
  name: string,
  { value, maxAgeSeconds }: SessionCookies,
  header: string,
  place: Place,
): readonly string[] => {
  const base = cookieName(name, place)
  if (base === null) return []
  const set = new Map<string, string>()
  if (value.length > MOST_PART_CHARACTERS) {
    for (let index = 0; index * MOST_PART_CHARACTERS < value.length; index += 1) {
      const from = index * MOST_PART_CHARACTERS
      set.set(`${base}.${index}`, value.slice(from, from + MOST_PART_CHARACTERS))
    }
  } else if (value !== '') set.set(base, value)
  const stale = readCookies(header).flatMap(([cookie]) =>
    (cookie === base || isPart(cookie, base)) && !set.has(cookie) ? [cookie] : [],
  )
  return [
    ...[...new Set(stale)].map((cookie) => setCookie(cookie, '', 0)),
    ...[...set].map(([cookie, part]) => setCookie(cookie, part, maxAgeSeconds)),
  ]
}

/** One `Set-Cookie` value. `Lax`: the way back from the provider must bring it along. */
export const setCookie = (cookie: string, value: string, maxAgeSeconds: number): string => {
  const secure = cookie.startsWith('__Host-') ? '; Secure' : ''
  return `${cookie}=${value}; Path=/; Max-Age=${maxAgeSeconds}; HttpOnly${secure}; SameSite=Lax`
}
