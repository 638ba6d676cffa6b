import type { AdminDeps } from './admin-deps.ts'
import { json } from './answers.ts'
import type { Endpoint } from './endpoint.ts'

/** What probes and Prometheus ask, without a token. */
export const openEndpoints = (deps: Pick<AdminDeps, 'unready' | 'metrics'>): readonly Endpoint[] => [
  { method: 'GET', path: '/healthz', permission: null, handle: () => json({ status: 'ok' }) },
  {
    method: 'GET',
    path: '/readyz',
    permission: null,
    handle: () => {
      const reasons = deps.unready()
      return reasons.length === 0
        ? json({ status: 'ready', reasons })
        : json({ status: 'not ready', reasons }, 503)
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
