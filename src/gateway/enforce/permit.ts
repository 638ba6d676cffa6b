import type { Passage } from '../pipeline.ts'

const NO_CONTENT = ['Content-Length', '0', 'Cache-Control', 'no-store']

/**
 * Tells a proxy that the request which it asks about may pass, and what is to be sent along with it.
 *
 * What the route sets, and the assertion, are fields of the answer, for the proxy to copy.
 *
 * @param assertion null where nothing was verified or allowed.
 */
export const permit = ({ exchange, bound, decisionId }: Passage, assertion: string | null): true => {
  const headers = [...NO_CONTENT, 'Sallyport-Decision-Id', decisionId]
  if (assertion !== null) headers.push('Sallyport-Assertion', assertion)
  exchange.reply.head(200, '', [...headers, ...bound.headers])
  exchange.reply.end()
  return true
}
