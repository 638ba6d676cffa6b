import type { Dialect } from '../../core/dialect.ts'
import type { Passage } from '../pipeline.ts'
import type { HeaderChanges } from './told-headers.ts'

const NO_CONTENT = ['Content-Length', '0', 'Cache-Control', 'no-store']

/**
 * Tells a proxy that the request which it asks about may pass, and what is to be sent along with it.
 *
 * What the route sets, and the assertion, are fields of the answer, for the proxy to copy. Envoy is also told what to
 * remove.
 *
 * @param assertion null where nothing was verified or allowed.
 * @param changes what the proxy is to do to the caller's own headers, given those that are set.
 */
export const permit = (
  { exchange, accepted, identity, bound, decisionId }: Passage,
  assertion: string | null,
  changes: (given: readonly string[]) => HeaderChanges,
): true => {
  const given = ['Sallyport-Decision-Id', decisionId]
  if (assertion !== null) given.push('Sallyport-Assertion', assertion)
  given.push(...bound.headers)
  const changed = canRemove(accepted.dialect) ? told(changes(given)) : []
  const framing = accepted.dialect === 'ext-authz-grpc' ? [] : NO_CONTENT
  const cookies = (identity?.setCookies ?? []).flatMap((cookie) => ['Set-Cookie', cookie])
  exchange.reply.head(200, '', [...framing, ...given, ...changed, ...cookies])
  exchange.reply.end()
  return true
}

const canRemove = (dialect: Dialect | undefined): boolean => dialect !== 'forward-auth'

/** @see https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/ext_authz_filter */
const told = ({ set, remove }: HeaderChanges): readonly string[] => [
  ...set,
  'X-Envoy-Auth-Headers-To-Remove',
  remove.join(','),
]
