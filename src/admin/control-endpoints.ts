import { routeRow } from '../config/route-rows.ts'
import type { AdminDeps } from './admin-deps.ts'
import { json } from './answers.ts'
import type { Endpoint } from './endpoint.ts'

/** What runs: its configuration, its routes, and the ends of its decision logs. */
export const controlEndpoints = (
  deps: Pick<AdminDeps, 'configStatus' | 'configuration' | 'heads'>,
): readonly Endpoint[] => [
  { method: 'GET', path: '/v1/config', permission: 'read', handle: () => json(deps.configStatus()) },
  {
    method: 'GET',
    path: '/v1/routes',
    permission: 'read',
    handle: () => json({ routes: deps.configuration().routes.map(routeRow) }),
  },
  { method: 'GET', path: '/v1/audit/heads', permission: 'read', handle: () => json({ heads: deps.heads() }) },
]
