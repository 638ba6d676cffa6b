import type { CanonicalRequest } from '../../core/request.ts'
import type { Considered } from './considered.ts'
import type { RouteTable } from './route-table.ts'

/** What of a canonical request chooses its route. */
export type ConsideredRequest = Pick<
  CanonicalRequest,
  'method' | 'host' | 'authority' | 'scheme' | 'path' | 'query' | 'headers' | 'names'
>

/** Every route of a table whose host and path a request fits, the chosen one first, and why not the others. */
export const considerRoutes = (table: RouteTable, request: ConsideredRequest): readonly Considered[] => {
  const { method, host, authority, scheme, path, query, headers, names } = request
  const port = /:([0-9]+)$/.exec(authority)?.[1] ?? (scheme === 'https' ? '443' : '80')
  return table.consider({ method, host, port, path, query, headers, names })
}
