import type { Problem } from '../core/problem.ts'
import { askedEngines, type Route } from '../core/route.ts'
import { matchHost, matchMethods } from '../gateway/accept/match.ts'
import { requirementOf } from '../gateway/authenticate/requirement.ts'
import { resolveCors } from '../gateway/enforce/cors-config.ts'
import { isMap, type Part } from './parse-part.ts'
import type { RouteInMap, RouteMap } from './read-route-maps.ts'
import type { Defaults, RouteEntry } from './routes-schema.ts'
import { resolveStream } from './stream-field.ts'
import { resolveTask } from './task-field.ts'

/** A route with what it takes from its file's defaults; names in it may still be wrong. */
export interface RouteDraft {
  readonly map: RouteMap
  readonly entry: RouteEntry
  readonly route: Route
  /** Names of the engines that the file says, without the gateway's own; empty for public routes. */
  readonly engines: readonly string[]
  /** Undefined: any host. */
  readonly host: string | undefined
  readonly grant: RouteEntry['grant']
  /** Reports a mistake by its path from the route on; one in a default is told where the default is. */
  readonly report: (problem: Problem) => void
  readonly part: Part
}

const holds = (value: unknown, key: string | number | undefined): boolean =>
  key !== undefined && isMap(value) && Object.hasOwn(value, key)

const reporter = (map: RouteMap, { part }: RouteInMap): RouteDraft['report'] => {
  const { source, path, value } = part
  const { defaultsPart } = map
  return (problem) => {
    const [key] = problem.path
    const fromDefaults = !holds(value, key) && holds(defaultsPart.value, key)
    source.report({ ...problem, path: [...(fromDefaults ? defaultsPart.path : path), ...problem.path] })
  }
}

/** What the gateway's file says of all routes. */
export interface GatewayWide {
  readonly mode: Route['mode']
  /** An engine that every protected route asks too, whatever its file says; null: none. */
  readonly baseline: string | null
}

const enginesOf = ({ engine, engines }: RouteEntry | Defaults): readonly string[] | undefined =>
  engines ?? (engine === undefined ? undefined : [engine])

const draft = (
  map: RouteMap,
  defaults: Defaults,
  inMap: RouteInMap,
  entry: RouteEntry,
  index: number,
  { mode: gatewayMode, baseline }: GatewayWide,
): RouteDraft => {
  const { part } = inMap
  const isPublic = entry.access === 'public'
  const shadow = entry.shadow ?? defaults.shadow
  const task = resolveTask(entry.task)
  const stream = resolveStream(entry.stream, defaults.stream)
  const named = isPublic ? [] : (enginesOf(entry) ?? enginesOf(defaults) ?? [])
  const route: Route = {
    index,
    name: entry.name,
    owner: map.owner,
    access: entry.access,
    mode: entry.mode ?? defaults.mode ?? gatewayMode,
    ...(entry.observeUntil === undefined ? {} : { observeUntilMs: Date.parse(entry.observeUntil) }),
    authenticate: isPublic ? [] : (entry.authenticate ?? defaults.authenticate ?? []),
    ...(entry.require === undefined || isPublic ? {} : { require: requirementOf(entry.require) }),
    ...askedEngines(isPublic ? [] : [baseline, ...named]),
    upstream: entry.upstream ?? defaults.upstream ?? '',
    ...(shadow === undefined || isPublic ? {} : { shadow }),
    ...(stream === undefined ? {} : { stream }),
    ...(task === undefined ? {} : { task }),
    ...(entry.cors === undefined ? {} : { cors: resolveCors(entry.cors, matchMethods(entry.match)) }),
  }
  return {
    map,
    entry,
    route,
    engines: named,
    host: matchHost(entry.match, entry.host ?? defaults.host),
    grant: entry.grant ?? defaults.grant,
    report: reporter(map, inMap),
    part,
  }
}

/** Every route that could be read, of files whose defaults could be read; `route.index` is its position. */
export const draftRoutes = (maps: readonly RouteMap[], gateway: GatewayWide): readonly RouteDraft[] => {
  const drafts: RouteDraft[] = []
  for (const map of maps) {
    const { defaults } = map
    if (defaults === null) continue
    for (const inMap of map.routes) {
      if (inMap.value !== null) drafts.push(draft(map, defaults, inMap, inMap.value, drafts.length, gateway))
    }
  }
  return drafts
}
