import type { AdminDeps, EngineState } from './admin-deps.ts'
import { json } from './answers.ts'
import type { Endpoint } from './endpoint.ts'

/** What probes and Prometheus ask, without a token. */
export const openEndpoints = (
  deps: Pick<AdminDeps, 'unready' | 'engines' | 'feed' | 'metrics'>,
): readonly Endpoint[] => [
  { method: 'GET', path: '/healthz', permission: null, handle: () => json({ status: 'ok' }) },
  {
    method: 'GET',
    path: '/readyz',
    permission: null,
    handle: () => {
      const reasons = deps.unready()
      // An engine that is down takes no replica out of service: each of them has the same one, and live grants.
      const engines = Object.fromEntries(deps.engines().map(({ name, ...known }) => [name, shown(known)]))
      const revocation = deps.feed.freshness()
      return reasons.length === 0
        ? json({ status: 'ready', reasons, engines, revocation })
        : json({ status: 'not ready', reasons, engines, revocation }, 503)
    },
  },
  {
    method: 'GET',
    path: '/metrics',
    permission: null,
    handle: async () => ({
      status: 200,
      contentType: deps.metrics.contentType,
      text: await deps.metrics.render(),
    }),
  },
]

/** Without the failure's text: this needs no token. */
const shown = ({ type, policyVersion, status }: Omit<EngineState, 'name'>) => ({
  type,
  reachable: status === null ? true : status.reachable,
  policyVersion,
})
