import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import type { Configuration, ConfiguredRoute } from '../config/configuration.ts'
import { loadConfiguration } from '../config/load.ts'
import type { Finding } from '../core/problem.ts'
import { type Change, changesBetween, type NamedChanges, namedChanges } from './compare-values.ts'
import { type GatewayMeaning, gatewayMeaning } from './gateway-meaning.ts'
import type { StartOptions } from './options.ts'
import { withNamesOfFiles } from './same-files.ts'

/** What two configurations have not in common, by what they mean. */
export interface Comparison {
  readonly routes: NamedChanges
  /** By `engine policy`. */
  readonly policies: NamedChanges
  readonly authenticators: NamedChanges
  readonly engines: NamedChanges
  readonly upstreams: NamedChanges
  /** All else in the gateway file, such as `limits.bodyBytes`. */
  readonly settings: readonly Change[]
}

/** Loads two configurations and compares them; or what is wrong with one of them. */
export const compareConfigurations = async (
  before: string,
  after: string,
  options: Omit<StartOptions, 'file'>,
): Promise<Comparison | { readonly findings: readonly Finding[] }> => {
  const loaded = [await loadConfiguration(before, options), await loadConfiguration(after, options)] as const
  const [from, to] = [loaded[0].configuration, loaded[1].configuration]
  if (from === null || to === null) return { findings: loaded.flatMap(({ findings }) => findings) }
  const [left, right] = withNamesOfFiles(meaningOfFile(from), meaningOfFile(to)) as [
    GatewayMeaning,
    GatewayMeaning,
  ]
  return {
    routes: namedChanges(routesOf(from), routesOf(to)),
    policies: namedChanges(await policiesOf(from), await policiesOf(to)),
    authenticators: namedChanges(entriesOf(left.authenticators), entriesOf(right.authenticators)),
    engines: namedChanges(entriesOf(left.engines), entriesOf(right.engines)),
    upstreams: namedChanges(entriesOf(left.upstreams), entriesOf(right.upstreams)),
    settings: changesBetween(left.settings, right.settings),
  }
}

type Raw = Readonly<Record<string, unknown>>

// It was loaded without a mistake: what it is can be read again. Secrets are never in it.
const meaningOfFile = ({ file, workers }: Configuration): GatewayMeaning => {
  const meaning = gatewayMeaning(file, parse(readFileSync(file, 'utf8')))
  return { ...meaning, settings: { ...meaning.settings, workers } }
}

const entriesOf = (value: unknown): ReadonlyMap<string, unknown> => new Map(Object.entries(Object(value)))

/** Every route by its name, with what it takes from its file's defaults. */
const routesOf = ({ routes }: Configuration): ReadonlyMap<string, unknown> => {
  const files = new Map<string, Raw>()
  return new Map(
    routes.map((configured) => {
      const { file, route } = configured
      const map = files.get(file) ?? (parse(readFileSync(file, 'utf8')) as Raw)
      files.set(file, map)
      const written = (Array.isArray(map.routes) ? map.routes : []).find((each: unknown) => {
        return Object(each).name === route.name
      })
      return [route.name, meaningOf(configured, Object(written))]
    }),
  )
}

const meaningOf = ({ route, match, flags, host, grant }: ConfiguredRoute, written: Raw): Raw => {
  const { index: _index, name: _name, require, ...shown } = route
  const { evaluation, evaluations, headers, rewrite } = written
  const [methods, path] = typeof match === 'string' ? match.trim().split(/\s+/, 2) : []
  return {
    ...shown,
    // Its claims are a Map.
    ...(require === undefined ? {} : { require: { ...require, claims: Object.fromEntries(require.claims) } }),
    host: host ?? '*',
    match:
      typeof match === 'string'
        ? { methods: methods === '*' ? '*' : [methods], path, headers: {}, query: {} }
        : { ...match, methods: match.methods ?? '*', headers: match.headers ?? {}, query: match.query ?? {} },
    ...flagsOf(flags),
    grant: grant ?? 'none',
    ...(evaluation === undefined ? {} : { evaluation: withLongAction(evaluation) }),
    ...(evaluations === undefined ? {} : { evaluations: withLongAction(evaluations) }),
    headers: headers ?? {},
    ...(rewrite === undefined ? {} : { rewrite }),
  }
}

const flagsOf = ({
  allowEncodedSlash,
  allowPathParameters,
  ignoreCase,
  fallThrough,
}: ConfiguredRoute['flags']) => ({
  allowEncodedSlash,
  allowPathParameters,
  ignoreCase,
  fallThrough,
})

/** `read` is short for `{ name: read }`, and a context that is not there is empty. */
const withLongAction = (value: unknown): unknown => {
  const { action, evaluations, ...rest } = Object(value) as Raw
  return {
    ...rest,
    ...(action === undefined ? {} : { action: typeof action === 'string' ? { name: action } : action }),
    ...(Array.isArray(evaluations) ? { evaluations: evaluations.map(withLongAction) } : {}),
  }
}

/** A hash of what each policy says, however it is written; of engines that hold their own. */
const policiesOf = async ({ engines }: Configuration): Promise<ReadonlyMap<string, unknown>> => {
  const policies = new Map<string, unknown>()
  for (const [name, { create }] of engines) {
    const engine = create()
    for (const [id, hash] of engine.policyHashes?.() ?? []) policies.set(`${name} ${id}`, hash)
    await engine.close?.()
  }
  return policies
}
