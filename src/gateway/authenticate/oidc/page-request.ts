import { prefersHtml } from '../../../core/accepts-html.ts'
import { headerValues } from '../../../core/headers.ts'
import type { CanonicalRequest } from '../../../core/request.ts'

type Asked = Pick<CanonicalRequest, 'method' | 'headers' | 'names'>

/**
 * True when a browser asks for a page to show, so that it can be sent somewhere else first.
 *
 * A script's call, an image, a frame and a form that was sent cannot. `Sec-Fetch-Mode` says it where there is one,
 * else what is accepted.
 *
 * @see https://www.w3.org/TR/fetch-metadata/#sec-fetch-mode-header
 */
export const asksForPage = ({ method, headers, names }: Asked): boolean => {
  if ((method !== 'GET' && method !== 'HEAD') || names.includes('upgrade')) return false
  const modes = headerValues(headers, 'sec-fetch-mode')
  const destinations = headerValues(headers, 'sec-fetch-dest')
  if (modes.length > 0 || destinations.length > 0) {
    return (
      modes.every((mode) => mode === 'navigate') &&
      destinations.every((destination) => destination === 'document')
    )
  }
  if (names.includes('x-requested-with')) return false
  const accepted = headerValues(headers, 'accept')
  return accepted.length > 0 && prefersHtml(accepted.join(','))
}
