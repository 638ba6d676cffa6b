import type { ConfiguredRoute } from './configuration.ts'

/** A route as it is shown: text for people, and what `sallyport routes --json` and `/v1/routes` answer. */
export interface RouteRow {
  readonly methods: string
  readonly host: string
  readonly path: string
  readonly name: string
  readonly access: string
  readonly authenticate: string
  readonly engine: string
  readonly upstream: string
  readonly owner: string
  /** `file:line`. */
  readonly source: string
}

/** One line of the route map. */
export const routeRow = ({ route, match, host, file, line }: ConfiguredRoute): RouteRow => ({
  ...methodsAndPath(match),
  host: host ?? '*',
  name: route.name,
  access: route.access,
  authenticate: route.authenticate.join(','),
  engine: route.engine,
  upstream: route.upstream,
  owner: route.owner,
  source: `${file}:${line}`,
})

const methodsAndPath = (match: ConfiguredRoute['match']): Pick<RouteRow, 'methods' | 'path'> => {
  if (typeof match !== 'string') return { methods: match.methods?.join(',') ?? '*', path: match.path }
  const [methods = '', path = ''] = match.trim().split(/\s+/, 2)
  return { methods, path }
}
