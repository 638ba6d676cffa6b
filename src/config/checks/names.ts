import { didYouMean } from '../../core/nearest.ts'
import type { Problem } from '../../core/problem.ts'
import { child, isMap, type Part } from '../parse-part.ts'
import type { GatewayFile } from '../read-gateway.ts'
import type { RouteMap } from '../read-route-maps.ts'

type Names = GatewayFile['names']
type Kind = 'engine' | 'upstream' | 'authenticator' | 'secret'

const MAX_LISTED = 12

const listed = (names: ReadonlySet<string>): string => {
  const some = [...names].slice(0, MAX_LISTED).join(', ')
  if (names.size === 0) return 'but there is none'
  if (names.size === 1) return `expected ${some}`
  return `expected one of ${some}${names.size > MAX_LISTED ? ', …' : ''}`
}

const unknownName = (
  path: Problem['path'],
  name: string,
  kind: Kind,
  known: ReadonlySet<string>,
): Problem => {
  const found = `found the unknown ${kind} ${JSON.stringify(name)}`
  return { path, rule: `unknown-${kind}`, message: `${found}, ${listed(known)}${didYouMean(name, known)}` }
}

// What is no string, or no list, is reported by the schema.
const checkName = ({ source, path, value }: Part, kind: Kind, known: ReadonlySet<string>): void => {
  if (typeof value === 'string' && !known.has(value)) source.report(unknownName(path, value, kind, known))
}

const checkList = (part: Part, kind: Kind, known: ReadonlySet<string>): void => {
  if (!Array.isArray(part.value)) return
  const seen = new Set<unknown>()
  part.value.forEach((name, index) => {
    const item = child(part, index)
    if (seen.has(name) && typeof name === 'string') {
      const message = `found the ${kind} ${JSON.stringify(name)} a second time, expected it once`
      item.source.report({ path: item.path, rule: 'duplicate-name', message })
      return
    }
    seen.add(name)
    checkName(item, kind, known)
  })
}

const checkReferences = (part: Part, names: Names): void => {
  if (!isMap(part.value)) return
  checkName(child(part, 'engine'), 'engine', names.engines)
  checkList(child(part, 'engines'), 'engine', names.engines)
  checkOneForm(part)
  checkName(child(part, 'shadow'), 'engine', names.engines)
  checkName(child(part, 'upstream'), 'upstream', names.upstreams)
  checkList(child(part, 'authenticate'), 'authenticator', names.authenticators)
}

/** Whoever wrote both cannot have meant that one of them does not count. */
const checkOneForm = ({ source, path, value }: Part): void => {
  if (!isMap(value) || value.engine === undefined || value.engines === undefined) return
  const message = 'found engine beside engines, expected one of them'
  source.report({ path: [...path, 'engine'], rule: 'engine-twice', message, atKey: true })
}

const checkUnmatched = ({ source, names }: GatewayFile): void => {
  const unmatched = child({ source, path: [], value: source.value }, 'unmatched')
  if (isMap(unmatched.value))
    checkList(child(unmatched, 'authenticate'), 'authenticator', names.authenticators)
}

/** Reports every name that no entry of the gateway file has, in routes, defaults and confinements. */
export const checkNames = (gateway: GatewayFile, maps: readonly RouteMap[]): void => {
  const { names } = gateway
  checkUnmatched(gateway)
  for (const { part } of gateway.listeners) checkReferences(part, names)
  const root = { source: gateway.source, path: [], value: gateway.source.value }
  checkName(child(root, 'baseline'), 'engine', names.engines)
  for (const { part } of gateway.routes) {
    checkList(child(part, 'upstreams'), 'upstream', names.upstreams)
    checkList(child(part, 'engines'), 'engine', names.engines)
    checkList(child(part, 'authenticators'), 'authenticator', names.authenticators)
    checkList(child(part, 'secrets'), 'secret', names.secrets)
  }
  for (const map of maps) {
    checkReferences(map.defaultsPart, names)
    for (const { part } of map.routes) checkReferences(part, names)
  }
}
