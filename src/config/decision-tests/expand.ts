import type { Problem } from '../../core/problem.ts'
import { isMap } from '../parse-part.ts'
import { EXPECTED_KEYS, REQUEST_KEYS, type TestEntry } from './schema.ts'

/** What one row, or a test without rows, asks and expects, as it is written; and where each part is. */
export interface Expanded {
  readonly name: string
  readonly value: { readonly request: unknown; readonly expect: unknown }
  /** From the test on: where it is, and where each key of what is expected is. */
  readonly at: Problem['path']
  readonly expectAt: (key: string) => Problem['path']
}

type Report = (problem: Problem) => void
type Path = readonly string[]

/** A test once for each of its rows; a test without rows is one. */
export const expandTest = (entry: TestEntry, report: Report): readonly Expanded[] => {
  const { name, rows, columns } = entry
  const request = entry.request ?? {}
  const expect = entry.expect ?? {}
  if (rows === undefined) {
    if (columns !== undefined) report({ path: ['columns'], message: 'found columns, expected rows as well' })
    return [{ name, value: { request, expect }, at: [], expectAt: (key) => ['expect', key] }]
  }
  const paths = columns?.map((column, index) =>
    columnPath(column, (message) => {
      report({ path: ['columns', index], message })
    }),
  )
  if (paths?.includes(null)) return []
  return rows.flatMap((row, index): readonly Expanded[] => {
    const at = ['rows', index]
    if (Array.isArray(row)) return cellsOf(row, paths, { entry, request, expect, index, report })
    const added = row as Exclude<typeof row, readonly unknown[]>
    const value = {
      request: merged(request, added.request ?? {}),
      expect: merged(expect, added.expect ?? {}),
    }
    const own = added.expect ?? {}
    const expectAt = (key: string): Problem['path'] => (Object.hasOwn(own, key) ? [...at, 'expect', key] : at)
    return [{ name: `${name}: ${added.name ?? `row ${index + 1}`}`, value, at, expectAt }]
  })
}

const cellsOf = (
  row: readonly unknown[],
  paths: readonly (Path | null)[] | undefined,
  table: {
    readonly entry: TestEntry
    readonly request: object
    readonly expect: object
    readonly index: number
    readonly report: Report
  },
): readonly Expanded[] => {
  const { entry, index, report } = table
  const at = ['rows', index]
  if (paths === undefined || paths.length !== row.length) {
    const expected = paths === undefined ? 'columns that say what they are' : `${paths.length} cells`
    report({ path: at, message: `found a row of ${row.length} cells, expected ${expected}` })
    return []
  }
  let value: { request: unknown; expect: unknown } = { request: table.request, expect: table.expect }
  const columnOf = new Map<string, number>()
  let label = ''
  for (const [column, path] of paths.entries()) {
    const [side, key] = path ?? []
    if (side === 'name') label = String(row[column] ?? '')
    else if (path !== null && (row[column] !== null || NULL_SAYS.has(path.join('.')))) {
      value = withCell(value, path, row[column]) as typeof value
    }
    if (side === 'expect' && key !== undefined) columnOf.set(key, column)
  }
  const expectAt = (key: string): Problem['path'] => {
    const column = columnOf.get(key)
    return column === undefined ? at : [...at, column]
  }
  const name = `${entry.name}: ${label || row.map(cellText).join(', ')}`
  return [{ name, value, at, expectAt }]
}

const cellText = (cell: unknown): string => (typeof cell === 'string' ? cell : JSON.stringify(cell))

/** Where a column's cells go; null after what is wrong with it was reported. */
const columnPath = (column: string, report: (message: string) => void): Path | null => {
  if (column === 'name') return ['name']
  const path = column.split('.')
  const [first = '', second = ''] = path
  if (first === 'request' && REQUEST_KEYS.has(second)) return path
  if (first === 'expect' && EXPECTED_KEYS.has(second)) return path
  const isAsked = REQUEST_KEYS.has(first)
  if (isAsked !== EXPECTED_KEYS.has(first)) return [isAsked ? 'request' : 'expect', ...path]
  report(
    isAsked
      ? `found ${column}, expected request.${column} or expect.${column}`
      : `found ${JSON.stringify(column)}, expected name, a key of the request or of what is expected`,
  )
  return null
}

// An empty cell leaves its key out, but for these, of which null says something.
const NULL_SAYS: ReadonlySet<string> = new Set(['expect.route', 'expect.status', 'expect.engine'])

const withCell = (value: unknown, path: Path, cell: unknown): unknown => {
  const [key, ...rest] = path
  if (key === undefined) return cell
  const holder = isMap(value) ? value : {}
  const held = Object.hasOwn(holder, key) ? holder[key] : undefined
  return Object.fromEntries([...Object.entries(holder), [key, withCell(held, rest, cell)]])
}

/** Maps are joined key by key; anything else is replaced. */
const merged = (base: unknown, added: unknown): unknown => {
  if (!isMap(base) || !isMap(added)) return added
  const keys = new Set([...Object.keys(base), ...Object.keys(added)])
  return Object.fromEntries(
    [...keys].map((key) => {
      if (!Object.hasOwn(added, key)) return [key, base[key]]
      return [key, Object.hasOwn(base, key) ? merged(base[key], added[key]) : added[key]]
    }),
  )
}
