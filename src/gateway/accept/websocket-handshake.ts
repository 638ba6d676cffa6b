import type { HeaderPairs } from '../../core/headers.ts'
import { headerValues } from '../../core/headers.ts'

const KEY = /^[+/0-9A-Za-z]{22}==$/
const UPGRADE_TOKEN = /(?:^|,)[ \t]*upgrade[ \t]*(?:,|$)/i

/** What tells a handshake from other requests. */
export interface PossibleHandshake {
  readonly method?: string | undefined
  readonly httpVersion: string
  readonly rawHeaders: HeaderPairs
}

/**
 * True for an opening handshake of WebSocket, version 13, that leaves no doubt about what it is.
 *
 * Any other request to upgrade is not one, and is served as if it did not ask.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6455#section-4.2.1
 */
export const isWebSocketHandshake = (request: PossibleHandshake): boolean => {
  const { method, httpVersion, rawHeaders } = request
  if (method !== 'GET' || httpVersion !== '1.1') return false
  const only = (name: string): string => {
    const [value, ...others] = headerValues(rawHeaders, name)
    return value === undefined || others.length > 0 ? '' : value.trim()
  }
  return (
    only('upgrade').toLowerCase() === 'websocket' &&
    headerValues(rawHeaders, 'connection').some((value) => UPGRADE_TOKEN.test(value)) &&
    KEY.test(only('sec-websocket-key')) &&
    only('sec-websocket-version') === '13' &&
    headerValues(rawHeaders, 'transfer-encoding').length === 0 &&
    headerValues(rawHeaders, 'expect').length === 0 &&
    headerValues(rawHeaders, 'content-length').every((value) => /^0+$/.test(value))
  )
}
