import { z } from 'zod'
import type { Problem } from '../core/problem.ts'
import { parseBySchema } from './schema-problems.ts'
import type { YamlSource } from './yaml-file.ts'

/** A value of a file, and where it is in there. */
export interface Part {
  readonly source: YamlSource
  readonly path: Problem['path']
  readonly value: unknown
}

/** A part that its schema accepted; unknown keys in it were reported and left out. */
export interface Parsed<T> {
  readonly value: T
}

/** Puts a path of keys before that of each problem. */
export const below =
  (source: Pick<YamlSource, 'report'>, prefix: Problem['path']) =>
  (problem: Problem): void =>
    source.report({ ...problem, path: [...prefix, ...problem.path] })

export const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** What a key of a part holds; undefined when there is no such key. */
export const child = (part: Part, key: string | number): Part => {
  const { source, path, value } = part
  const held = typeof value === 'object' && value !== null && Object.hasOwn(value, key)
  return { source, path: [...path, key], value: held ? Reflect.get(value, key) : undefined }
}

const without = (value: unknown, path: Problem['path']): unknown => {
  const [key, ...rest] = path
  if (key === undefined || typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((item, index) => (index === key ? without(item, rest) : item))
  const entries = Object.entries(value).flatMap(([name, held]) => {
    if (name !== String(key)) return [[name, held]]
    return rest.length === 0 ? [] : [[name, without(held, rest)]]
  })
  return Object.fromEntries(entries)
}

/**
 * A part by its schema; null after its mistakes were reported.
 *
 * A part with nothing but unknown keys for mistakes is still read, so that what else is wrong with it is
 * found at the same time.
 */
export const parsePart = <T>(part: Part, schema: z.ZodType<T>): Parsed<T> | null => {
  const { source, path, value } = part
  const parsed = parseBySchema(schema, value, path)
  if (parsed.problems === null) return { value: parsed.value }
  parsed.problems.forEach(below(source, path))
  const unknown = parsed.problems.filter((problem) => problem.rule === 'unknown-key')
  if (unknown.length === 0) return null
  const rest = unknown.reduce<unknown>((held, problem) => without(held, problem.path), value)
  const again = parseBySchema(schema, rest)
  return again.problems === null ? { value: again.value } : null
}

/** Reports the keys of a map that are not among `known`. */
export const reportUnknownKeys = (part: Part, known: readonly string[]): void => {
  if (isMap(part.value) && Object.keys(part.value).every((key) => known.includes(key))) return
  const anything = Object.fromEntries(known.map((key) => [key, z.unknown()]))
  parseBySchema(z.strictObject(anything).partial(), part.value).problems?.forEach(
    below(part.source, part.path),
  )
}

/** The entries of a map, each by its name, after the map itself was checked against `container`. */
export const mapEntries = (
  part: Part,
  container: z.ZodType<Record<string, unknown>>,
): ReadonlyMap<string, Part> => {
  const parsed = parsePart(part, container)
  if (parsed === null && !isMap(part.value)) return new Map()
  const names = Object.keys(isMap(part.value) ? part.value : (parsed?.value ?? {}))
  return new Map(names.map((name) => [name, child(part, name)]))
}

/** The items of a list, after the list itself was checked against `container`. */
export const listItems = (part: Part, container: z.ZodType<readonly unknown[]>): readonly Part[] => {
  const parsed = parsePart(part, container)
  const items = Array.isArray(part.value) ? part.value : (parsed?.value ?? [])
  return items.map((value, index) => ({ source: part.source, path: [...part.path, index], value }))
}

/** What could be read, by name. */
export const parseAll = <T>(
  parts: ReadonlyMap<string, Part>,
  schema: z.ZodType<T>,
): ReadonlyMap<string, T> => {
  const values = new Map<string, T>()
  for (const [name, part] of parts) {
    const parsed = parsePart(part, schema)
    if (parsed !== null) values.set(name, parsed.value)
  }
  return values
}
