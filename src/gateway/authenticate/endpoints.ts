import type { Refusal } from '../../core/refusals.ts'
import { builtInRoute, type Route } from '../../core/route.ts'
import type { Authenticator, OwnAnswered, OwnEndpoint, OwnRequest } from './authenticator.ts'

/** A path that some authenticator answers itself. */
export interface EndpointRoute {
  readonly route: Route
  readonly methods: ReadonlySet<string>
}

export interface Endpoints {
  /** By path. */
  readonly routes: ReadonlyMap<string, EndpointRoute>
  /** Asks the authenticator that the request is for. */
  readonly serve: (asked: OwnRequest) => Promise<OwnAnswered | Refusal>
}

/** Gathers the endpoints of all authenticators; those of one path share a route. */
export const createEndpoints = (authenticators: Iterable<Authenticator>): Endpoints => {
  const byPath = new Map<string, OwnEndpoint[]>()
  for (const { endpoints = [] } of authenticators) {
    for (const endpoint of endpoints)
      byPath.set(endpoint.path, [...(byPath.get(endpoint.path) ?? []), endpoint])
  }
  const routes = new Map(
    [...byPath].map(([path, sharing]) => {
      const methods = new Set(sharing.flatMap((endpoint) => endpoint.methods))
      return [path, { route: endpointRoute(path), methods }]
    }),
  )
  return {
    routes,
    serve: async (asked) => {
      const sharing = byPath.get(asked.request.path) ?? []
      // The first one says what is wrong with what nobody takes.
      const endpoint = sharing.find(({ takes }) => takes(asked)) ?? sharing[0]
      if (endpoint === undefined) throw new Error(`${asked.request.path} is no endpoint`)
      return endpoint.serve(asked)
    },
  }
}

/** Public, since whoever comes here is about to be known, or to be forgotten. */
export const endpointRoute = (path: string): Route => ({
  ...builtInRoute(`sallyport-${path.slice(path.lastIndexOf('/') + 1)}`),
  endpoint: path,
})
