import type { CanonicalHost } from './canonical-host.ts'
import { canonicalHost } from './canonical-host.ts'

/** What hosts are for, by `host`, `host:port`, `*.suffix`, `*.suffix:port`, or any. */
export interface HostTable<T> {
  readonly exact: Map<string, T>
  /** Keys start with the dot. */
  readonly suffixes: Map<string, T>
  any: T | null
}

/** A host of a route in canonical form; null when it is none. */
export const canonicalHostPattern = (text: string): string | null => {
  const wildcard = text.startsWith('*.')
  const host = canonicalHost(wildcard ? text.slice(2) : text)
  if (host === null || (wildcard && host.host.startsWith('['))) return null
  return wildcard ? `*.${host.authority}` : host.authority
}

export const createHostTable = <T>(): HostTable<T> => ({ exact: new Map(), suffixes: new Map(), any: null })

/** @param pattern of `canonicalHostPattern`, or undefined for any host. */
export const hostEntry = <T>(table: HostTable<T>, pattern: string | undefined, create: () => T): T => {
  if (pattern === undefined) {
    table.any ??= create()
    return table.any
  }
  const wildcard = pattern.startsWith('*.')
  const map = wildcard ? table.suffixes : table.exact
  const key = wildcard ? pattern.slice(1) : pattern
  const known = map.get(key)
  if (known !== undefined) return known
  const created = create()
  map.set(key, created)
  return created
}

/**
 * Shows `visit` what is for a host, the most specific first, until it returns something.
 *
 * @param port of the request, the scheme's own when the Host field has none.
 */
export const walkHosts = <T, R>(
  table: HostTable<T>,
  { host }: Pick<CanonicalHost, 'host'>,
  port: string,
  visit: (entry: T) => R | null,
): R | null => {
  let result = visitKey(table.exact, host, port, visit)
  if (table.suffixes.size > 0) {
    for (let dot = host.indexOf('.'); result === null && dot !== -1; dot = host.indexOf('.', dot + 1)) {
      result = visitKey(table.suffixes, host.slice(dot), port, visit)
    }
  }
  return result ?? (table.any === null ? null : visit(table.any))
}

const visitKey = <T, R>(
  map: ReadonlyMap<string, T>,
  key: string,
  port: string,
  visit: (entry: T) => R | null,
): R | null => {
  if (map.size === 0) return null
  const withPort = map.get(`${key}:${port}`)
  const result = withPort === undefined ? null : visit(withPort)
  if (result !== null) return result
  const withoutPort = map.get(key)
  return withoutPort === undefined ? null : visit(withoutPort)
}
