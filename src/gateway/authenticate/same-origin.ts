import { originOf } from '../../core/cors.ts'
import { headerValues } from '../../core/headers.ts'
import { type Refusal, refuse } from '../../core/refusals.ts'
import type { CanonicalRequest } from '../../core/request.ts'

type Asked = Pick<CanonicalRequest, 'method' | 'scheme' | 'authority' | 'headers' | 'names'>

const WEBSOCKET = /(?:^|,)[ \t]*websocket[ \t]*(?:,|$)/i

/** Methods that change nothing (RFC 9110 section 9.2.1). */
const SAFE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE'])

/** The origin of the pages at the address that was asked for. */
export const originOfRequest = ({ scheme, authority }: Pick<Asked, 'scheme' | 'authority'>): string => {
  const own = `${scheme}://${authority}`
  return URL.canParse(own) ? new URL(own).origin : own
}

/**
 * Why a request must not be served by what a browser sends by itself; null when it may.
 *
 * @param isSession the cookie is a session of the gateway's own: then nothing is changed by it either, unless the
 * request says that it comes from a page of the same origin.
 */
export const crossOrigin = (asked: Asked, isSession: boolean): Refusal | null =>
  crossOriginUpgrade(asked) ?? (isSession && !SAFE.has(asked.method) ? crossOriginChange(asked) : null)

/**
 * Why a request was not sent by a page of its own origin, as far as a browser tells; null when it was.
 *
 * `Sec-Fetch-Site` counts where it is there; an `Origin` of `null` then is no contradiction, since a page may keep
 * its own from being told.
 *
 * @see https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header
 */
export const crossOriginChange = (asked: Asked): Refusal | null => {
  const sites = headerValues(asked.headers, 'sec-fetch-site')
  const origins = headerValues(asked.headers, 'origin')
  const isOwn = (origin: string): boolean => origin.toLowerCase() === originOfRequest(asked)
  const samePage = sites.every((site) => site === 'same-origin')
  const fits =
    sites.length > 0
      ? samePage && origins.every((origin) => origin === 'null' || isOwn(origin))
      : origins.length === 1 && origins.every(isOwn)
  if (fits) return null
  const detail = 'a change by a session, which no page of the same origin is known to have sent'
  return refuse('authenticate', 'denied', detail, {
    publicDetail: 'What changes something by a session must come from a page of the same origin.',
  })
}

/**
 * Why a WebSocket must not be opened with what a browser sends by itself; null for any other request.
 *
 * No browser asks before it lets a page of any origin open one, with the cookies of the one that it is opened to.
 *
 * Does not check: requests that do not ask to upgrade, which pages of other origins may send but not read.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6455#section-10.2
 */
const crossOriginUpgrade = ({ scheme, authority, headers, names }: Asked): Refusal | null => {
  if (!names.includes('upgrade')) return null
  if (!headerValues(headers, 'upgrade').some((value) => WEBSOCKET.test(value))) return null
  const own = originOfRequest({ scheme, authority })
  if (originOf(headers)?.toLowerCase() === own) return null
  return refuse('authenticate', 'denied', `a WebSocket by a cookie, whose Origin is not ${own}`, {
    publicDetail: 'A WebSocket that a cookie signs in must come from a page of the same origin.',
  })
}
