import { originOf } from '../../core/cors.ts'
import { headerValues } from '../../core/headers.ts'
import { type Refusal, refuse } from '../../core/refusals.ts'
import type { CanonicalRequest } from '../../core/request.ts'

type Asked = Pick<CanonicalRequest, 'scheme' | 'authority' | 'headers' | 'names'>

const WEBSOCKET = /(?:^|,)[ \t]*websocket[ \t]*(?:,|$)/i

/**
 * Why a WebSocket must not be opened with what a browser sends by itself; null for any other request.
 *
 * No browser asks before it lets a page of any origin open one, with the cookies of the one that it is opened to.
 *
 * Does not check: requests that do not ask to upgrade, which pages of other origins may send but not read.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6455#section-10.2
 */
export const crossOriginUpgrade = ({ scheme, authority, headers, names }: Asked): Refusal | null => {
  if (!names.includes('upgrade')) return null
  if (!headerValues(headers, 'upgrade').some((value) => WEBSOCKET.test(value))) return null
  const own = `${scheme}://${authority}`
  if (originOf(headers)?.toLowerCase() === (URL.canParse(own) ? new URL(own).origin : own)) return null
  return refuse('authenticate', 'denied', `a WebSocket by a cookie, whose Origin is not ${own}`, {
    publicDetail: 'A WebSocket that a cookie signs in must come from a page of the same origin.',
  })
}
