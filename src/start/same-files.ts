import { readFileSync, realpathSync } from 'node:fs'
import { isNamedFile, type NamedFile } from './gateway-meaning.ts'

/**
 * Puts names in the place of files, the same name on both sides where both mean the same file.
 *
 * That is one file, however it is named, or one at the same place from the gateway file on that holds the same, as in a
 * copy of a configuration. What cannot be read, such as a pattern, holds nothing.
 */
export const withNamesOfFiles = (from: unknown, to: unknown): readonly [unknown, unknown] => {
  if (isNamedFile(from) && isNamedFile(to)) return namesOf(from, to)
  if (isNamedFile(from)) return [from.relative, withNamesOfFiles(undefined, to)[1]]
  if (isNamedFile(to)) return [withNamesOfFiles(from, undefined)[0], to.relative]
  const keys = new Set([...keysOf(from), ...keysOf(to)])
  const pairs = [...keys].map((key) => [key, withNamesOfFiles(held(from, key), held(to, key))] as const)
  return [rebuilt(from, pairs, 0), rebuilt(to, pairs, 1)]
}

const isHolder = (value: unknown): value is object => typeof value === 'object' && value !== null

const keysOf = (value: unknown): readonly string[] => (isHolder(value) ? Object.keys(value) : [])

const held = (value: unknown, key: string): unknown =>
  isHolder(value) && Object.hasOwn(value, key) ? Reflect.get(value, key) : undefined

const rebuilt = (
  value: unknown,
  pairs: readonly (readonly [string, readonly [unknown, unknown]])[],
  side: 0 | 1,
): unknown => {
  if (!isHolder(value)) return value
  const own = pairs.filter(([key]) => Object.hasOwn(value, key))
  return Array.isArray(value)
    ? own.map(([, pair]) => pair[side])
    : Object.fromEntries(own.map(([key, pair]) => [key, pair[side]]))
}

const namesOf = (from: NamedFile, to: NamedFile): readonly [string, string] => {
  if (realPath(from.absolute) === realPath(to.absolute)) return [from.relative, from.relative]
  if (from.relative !== to.relative) return [from.relative, to.relative]
  const isSame = !(from.isRead && to.isRead) || holdsSame(from.absolute, to.absolute)
  return [from.relative, isSame ? from.relative : `${to.relative} (which holds something else)`]
}

const realPath = (path: string): string => {
  try {
    return realpathSync(path)
  } catch {
    return path
  }
}

const holdsSame = (from: string, to: string): boolean => {
  const [left, right] = [contentOf(from), contentOf(to)]
  return left === null || right === null ? left === right : left.equals(right)
}

const contentOf = (path: string): Buffer | null => {
  try {
    return readFileSync(path)
  } catch {
    return null
  }
}
