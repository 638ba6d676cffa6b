import type { Carrier } from '../core/carrier.ts'
import type { Problem } from '../core/problem.ts'
import type { Route } from '../core/route.ts'
import { type Secret, secret } from '../core/secret.ts'
import { matchCaptures } from '../gateway/accept/match.ts'
import { postureNames } from '../gateway/accept/posture.ts'
import { compileRoutes, type RouteTable } from '../gateway/accept/route-table.ts'
import { compilePlan } from '../gateway/bind/plan.ts'
import { resolveRouteGrant } from '../gateway/decide/config.ts'
import { listOptIns, type Note, tellObserve } from './checks/opt-ins.ts'
import type { ConfiguredRoute } from './configuration.ts'
import { placeOf } from './place.ts'
import { inform, type Loading } from './preparation.ts'
import type { GatewayFile } from './read-gateway.ts'
import type { RouteMap } from './read-route-maps.ts'
import type { RouteDraft } from './route-drafts.ts'

export interface CompiledRoutes {
  readonly table: RouteTable
  readonly routes: readonly ConfiguredRoute[]
}

/** Headers that hold a credential, or that some route sets: what a caller sends in them is not to be read. */
const unreadableHeaders = (
  carriers: readonly Carrier[],
  drafts: readonly RouteDraft[],
): ReadonlySet<string> => {
  const names = new Set<string>()
  for (const carrier of carriers) {
    if (carrier.kind === 'authorization') names.add('authorization')
    if (carrier.kind === 'header') names.add(carrier.name.toLowerCase())
    if (carrier.kind === 'cookie') names.add('cookie')
  }
  for (const { entry } of drafts) {
    for (const name of Object.keys(entry.headers ?? {})) names.add(name.toLowerCase())
  }
  return names
}

/** The secrets that the routes of one file may name; an entry with a mistake is still a name. */
const secretsOf = (gateway: GatewayFile, map: RouteMap): ReadonlyMap<string, Secret> => {
  const { secrets: allowed } = map.entry.value.confinement
  const names = [...gateway.names.secrets].filter((name) => allowed === null || allowed.includes(name))
  return new Map(names.map((name) => [name, gateway.secrets.get(name) ?? secret('')]))
}

/**
 * What is compiled may keep the function that it reports to, for as long as the gateway lives; this one can let
 * go of the route maps behind it.
 */
const detachable = <A extends readonly unknown[]>(listener: (...args: A) => void) => {
  const held: { listener: ((...args: A) => void) | null } = { listener }
  const detach = (): void => {
    held.listener = null
  }
  return { report: (...args: A): void => held.listener?.(...args), detach }
}

const compileTable = (drafts: readonly RouteDraft[]): RouteTable => {
  const routes = drafts.map(({ route, entry, host }) => ({ route, match: entry.match, flags: entry, host }))
  const { report, detach } = detachable((index: number, problem: Problem, twin?: Route) => {
    const draft = drafts[index]
    const other = twin === undefined ? undefined : drafts[twin.index]
    if (draft === undefined) return
    const where = other === undefined ? '' : `; that one is at ${placeOf(other.part, draft.part.source.file)}`
    draft.report({ ...problem, message: `${problem.message}${where}` })
  })
  const table = compileRoutes(routes, report)
  detach()
  return table
}

// While `grants` has a mistake, what a route inherits from it does not matter.
const NO_GRANTS = { ttl: 0, denyTtl: 0 }

/** Compiles every route, reporting what is wrong with its match or mapping. */
export const compileDrafts = (
  loading: Loading,
  gateway: GatewayFile,
  carriers: readonly Carrier[],
  drafts: readonly RouteDraft[],
): CompiledRoutes => {
  const unreadable = unreadableHeaders(carriers, drafts)
  const postureHeaders = postureNames(gateway.listeners.map(({ value }) => value))
  const secretsByMap = new Map<RouteMap, ReadonlyMap<string, Secret>>()
  let current: RouteDraft | null = null
  const { report, detach } = detachable((problem: Problem) => current?.report(problem))
  const routes = drafts.map((draft): ConfiguredRoute => {
    const { entry, route, host, map, part } = draft
    const { evaluation, evaluations, headers, rewrite, match } = entry
    const secrets = secretsByMap.get(map) ?? secretsOf(gateway, map)
    secretsByMap.set(map, secrets)
    const grant = resolveRouteGrant(draft.grant, gateway.grants ?? NO_GRANTS)
    const mapping = { access: route.access, evaluation, evaluations, headers, rewrite, secrets }
    const quantiseMs = grant?.quantiseMs ?? null
    const captures = matchCaptures(match)
    const source = { ...mapping, captures, quantiseMs, unreadableHeaders: unreadable, postureHeaders }
    current = draft
    const plan = compilePlan(source, report)
    const tell = ({ path, ...note }: Note): void =>
      inform(loading, { source: part.source, path: [...part.path, ...path] }, { ...note, atKey: true })
    listOptIns(route.name, entry, tell)
    tellObserve(route, tell)
    const { file } = part.source
    const { line } = part.source.locate({ path: part.path })
    return { route, match, flags: entry, host, plan, grant, file, line }
  })
  detach()
  return { table: compileTable(drafts), routes }
}
