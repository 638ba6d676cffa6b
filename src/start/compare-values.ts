import { isDeepStrictEqual } from 'node:util'

/** One place at which two values differ; undefined where one has nothing. */
export interface Change {
  /** Keys from the outermost, such as `evaluation.resource.id`; empty for the value itself. */
  readonly at: string
  readonly from?: unknown
  readonly to?: unknown
}

const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Where two values differ, as deep down as maps go; lists are compared as a whole. */
export const changesBetween = (from: unknown, to: unknown, at = ''): readonly Change[] => {
  if (isDeepStrictEqual(from, to)) return []
  if (!isMap(from) || !isMap(to)) {
    return [{ at, ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }]
  }
  const keys = [...new Set([...Object.keys(from), ...Object.keys(to)])].sort()
  return keys.flatMap((key) => changesBetween(from[key], to[key], at === '' ? key : `${at}.${key}`))
}

/** What two maps of named things have not in common. */
export interface NamedChanges {
  readonly added: readonly string[]
  readonly removed: readonly string[]
  readonly changed: readonly { readonly name: string; readonly changes: readonly Change[] }[]
}

export const namedChanges = (
  from: ReadonlyMap<string, unknown>,
  to: ReadonlyMap<string, unknown>,
): NamedChanges => ({
  added: [...to.keys()].filter((name) => !from.has(name)).sort(),
  removed: [...from.keys()].filter((name) => !to.has(name)).sort(),
  changed: [...from.keys()]
    .filter((name) => to.has(name))
    .sort()
    .flatMap((name) => {
      const changes = changesBetween(from.get(name), to.get(name))
      return changes.length === 0 ? [] : [{ name, changes }]
    }),
})
