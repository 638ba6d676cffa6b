import { dirname, relative } from 'node:path'
import { z } from 'zod'
import type { Settings } from '../core/settings.ts'
import { isDecisionTestFile } from './decision-tests/read.ts'
import { child, listItems, type Part, parsePart, reportUnknownKeys } from './parse-part.ts'
import { inform, type Loading } from './preparation.ts'
import type { Entry, GatewayFile } from './read-gateway.ts'
import type { RoutesEntry } from './routes-entry.ts'
import {
  type Defaults,
  defaultsSchema,
  type RouteEntry,
  routeSchema,
  routesCollections,
} from './routes-schema.ts'
import { readYamlSource } from './yaml-file.ts'

/** What could be read of one file with routes. */
export interface RouteMap {
  /** The entry of the gateway file that named it. */
  readonly entry: Entry<RoutesEntry>
  readonly owner: string
  /** The `defaults` as written, for names in it that may be wrong. */
  readonly defaultsPart: Part
  /** Null when there is a mistake in them. */
  readonly defaults: Defaults | null
  readonly routes: readonly RouteInMap[]
}

export interface RouteInMap {
  readonly part: Part
  /** Null when there is a mistake in it. */
  readonly value: RouteEntry | null
}

/** The schemas of route maps; one set for all files of a load, since building them is slow. */
interface Schemas {
  readonly fields: ReturnType<typeof routesCollections>
  readonly defaults: ReturnType<typeof defaultsSchema>
  readonly route: ReturnType<typeof routeSchema>
}

const createSchemas = (s: Settings): Schemas => ({
  fields: routesCollections(z.unknown(), z.unknown()),
  defaults: defaultsSchema(s),
  route: routeSchema(s),
})

const NO_DEFAULTS: Defaults = {}

const readRouteMap = (
  loading: Loading,
  entry: Entry<RoutesEntry>,
  root: Part,
  schemas: Schemas,
): RouteMap => {
  const { fields, defaults, route } = schemas
  reportUnknownKeys(root, Object.keys(fields))
  const owner = parsePart(child(root, 'owner'), fields.owner)
  const defaultsPart = child(root, 'defaults')
  const parsedDefaults =
    defaultsPart.value === undefined ? { value: NO_DEFAULTS } : parsePart(defaultsPart, defaults)
  const routes = listItems(child(root, 'routes'), fields.routes)
  const said = owner?.value ?? ''
  tellOwner(loading, entry, child(root, 'owner'), said)
  return {
    entry,
    owner: entry.value.owner ?? said,
    defaultsPart,
    defaults: parsedDefaults === null ? null : parsedDefaults.value,
    routes: routes.map((part) => ({ part, value: parsePart(part, route)?.value ?? null })),
  }
}

const tellOwner = (loading: Loading, entry: Entry<RoutesEntry>, part: Part, said: string): void => {
  const { owner } = entry.value
  if (owner === null || said === '' || said === owner) return
  const message = `the owner is ${JSON.stringify(owner)}, as the gateway's file says, and not ${JSON.stringify(said)}`
  inform(loading, part, { rule: 'owner', message })
}

const isPattern = (entry: Entry<RoutesEntry>): boolean => entry.value.files.includes('*')

/** Which entry of `routes` each file is read for; reports a pattern without a file, and a file that two entries name. */
const findFiles = (loading: Loading, gateway: GatewayFile): ReadonlyMap<string, Entry<RoutesEntry>> => {
  const namedBy = new Map<string, Entry<RoutesEntry>>()
  // An entry that names its file says what that file may do, whatever patterns beside it match.
  const byName = gateway.routes.filter((entry) => !isPattern(entry))
  const byPattern = gateway.routes.filter(isPattern)
  for (const entry of [...byName, ...byPattern]) {
    const { source, path, value } = entry.part
    const at = typeof value === 'string' ? path : [...path, 'files']
    const spell = (name: string): string => JSON.stringify(relative(dirname(source.file), name))
    const matched = loading.files.glob(entry.value.files)
    const files = isPattern(entry) ? matched.filter((file) => !isDecisionTestFile(file)) : matched
    if (files.length === 0) {
      const message = `no file matches ${spell(entry.value.files)}, expected one at least`
      source.report({ path: at, rule: 'empty-glob', message })
    }
    for (const file of files) {
      const other = namedBy.get(file)
      if (other === undefined) namedBy.set(file, entry)
      if (other === undefined || isPattern(entry) !== isPattern(other)) continue
      const { line } = source.locate(other.part)
      const message = `${spell(file)} is named by two entries, expected one; the other is on line ${line}`
      source.report({ path: at, rule: 'file-twice', message })
    }
  }
  return namedBy
}

/** Reads the files that the entries of `routes` name. */
export const readRouteMaps = (loading: Loading, gateway: GatewayFile): readonly RouteMap[] => {
  let current = ''
  const schemas = createSchemas(loading.settingsFor(() => current))
  const maps: RouteMap[] = []
  for (const [file, entry] of findFiles(loading, gateway)) {
    const content = loading.files.read(file)
    if (!Buffer.isBuffer(content)) {
      const { source, path } = entry.part
      const name = JSON.stringify(relative(dirname(source.file), file))
      source.report({ path, rule: 'unreadable-file', message: `cannot read ${name}: ${content}` })
      continue
    }
    const source = readYamlSource(file, content, loading.report)
    if (source === null) continue
    current = file
    maps.push(readRouteMap(loading, entry, { source, path: [], value: source.value }, schemas))
  }
  return maps
}
