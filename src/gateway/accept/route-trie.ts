import { segmentValue } from '../../core/canonical-target.ts'
import type { TemplateSegment } from '../../core/path-template.ts'

/**
 * One place in a tree of path templates. `T` is what hangs on a whole template.
 *
 * Written to while a table is compiled, and only read afterwards.
 */
export interface TrieNode<T> {
  readonly literals: Map<string, TrieNode<T>>
  /** Of routes that ignore case; keys are in lower case. */
  readonly foldedLiterals: Map<string, TrieNode<T>>
  /** In the order of the configuration. */
  readonly patterns: { readonly key: string; readonly regexp: RegExp; readonly node: TrieNode<T> }[]
  name: TrieNode<T> | null
  /** What ends here. */
  end: T | null
  /** What takes everything from here on. */
  rest: T | null
}

export const createTrieNode = <T>(): TrieNode<T> => ({
  literals: new Map(),
  foldedLiterals: new Map(),
  patterns: [],
  name: null,
  end: null,
  rest: null,
})

export interface TrieInsertion<T> {
  readonly segments: readonly TemplateSegment[]
  readonly ignoreCase: boolean
  /** Compiles a pattern that is known to be good. */
  readonly regexp: (pattern: string) => RegExp
  readonly create: () => T
}

/** What hangs on a template, made when it is the first of its shape. Names of captures are no part of the shape. */
export const insertTemplate = <T>(root: TrieNode<T>, insertion: TrieInsertion<T>): T => {
  let node = root
  for (const segment of insertion.segments) {
    if (segment.kind === 'rest') {
      node.rest ??= insertion.create()
      return node.rest
    }
    node = childOf(node, segment, insertion)
  }
  node.end ??= insertion.create()
  return node.end
}

const childOf = <T>(
  node: TrieNode<T>,
  segment: Exclude<TemplateSegment, { kind: 'rest' }>,
  { ignoreCase, regexp }: TrieInsertion<T>,
): TrieNode<T> => {
  if (segment.kind === 'name') {
    node.name ??= createTrieNode()
    return node.name
  }
  if (segment.kind === 'literal') {
    return ignoreCase
      ? getOrCreate(node.foldedLiterals, segment.text.toLowerCase())
      : getOrCreate(node.literals, segment.text)
  }
  const key = `${ignoreCase ? 'i' : '-'}${segment.pattern}`
  const known = node.patterns.find((entry) => entry.key === key)
  if (known !== undefined) return known.node
  const child = createTrieNode<T>()
  node.patterns.push({ key, regexp: regexp(segment.pattern), node: child })
  return child
}

const getOrCreate = <T>(map: Map<string, TrieNode<T>>, key: string): TrieNode<T> => {
  const known = map.get(key)
  if (known !== undefined) return known
  const created = createTrieNode<T>()
  map.set(key, created)
  return created
}

/** Segments of a canonical path, decoded once; one trailing slash makes none. */
export const pathValues = (path: string): readonly string[] => {
  const end = path.endsWith('/') ? path.length - 1 : path.length
  if (end <= 0) return []
  const encoded = path.includes('%')
  const segments: string[] = []
  // By hand: V8 splits fast only what it has split before.
  for (let from = 1; from <= end; ) {
    const slash = path.indexOf('/', from)
    const to = slash === -1 || slash > end ? end : slash
    const segment = path.slice(from, to)
    segments.push(encoded ? segmentValue(segment) : segment)
    from = to + 1
  }
  return segments
}

/**
 * Shows `visit` the templates that a path fits, the most specific one first, until it returns something.
 *
 * Segment by segment, a literal goes before a pattern, that before `{name}`, and that before `{*rest}`.
 *
 * @param values   of `pathValues`.
 * @param visit    gets the captures in the order of the template; they are only valid during the call.
 */
export const walkTrie = <T, R>(
  root: TrieNode<T>,
  values: readonly string[],
  visit: (end: T, captures: readonly string[]) => R | null,
): R | null => walk(root, values, 0, [], visit)

const walk = <T, R>(
  node: TrieNode<T>,
  values: readonly string[],
  depth: number,
  captures: string[],
  visit: (end: T, captures: readonly string[]) => R | null,
): R | null => {
  const value = values[depth]
  if (value === undefined) {
    return (
      (node.end === null ? null : visit(node.end, captures)) ??
      visitRest(node, values, depth, captures, visit)
    )
  }
  const literal = node.literals.get(value)
  let result = literal === undefined ? null : walk(literal, values, depth + 1, captures, visit)
  if (result === null && node.foldedLiterals.size > 0) {
    const folded = node.foldedLiterals.get(value.toLowerCase())
    if (folded !== undefined) result = walk(folded, values, depth + 1, captures, visit)
  }
  for (let index = 0; result === null && index < node.patterns.length; index += 1) {
    const entry = node.patterns[index]
    if (entry?.regexp.test(value)) result = walkCapture(entry.node, values, depth, captures, visit)
  }
  if (result === null && node.name !== null) result = walkCapture(node.name, values, depth, captures, visit)
  return result ?? visitRest(node, values, depth, captures, visit)
}

const walkCapture = <T, R>(
  node: TrieNode<T>,
  values: readonly string[],
  depth: number,
  captures: string[],
  visit: (end: T, captures: readonly string[]) => R | null,
): R | null => {
  captures.push(values[depth] ?? '')
  const result = walk(node, values, depth + 1, captures, visit)
  captures.pop()
  return result
}

const visitRest = <T, R>(
  node: TrieNode<T>,
  values: readonly string[],
  depth: number,
  captures: string[],
  visit: (end: T, captures: readonly string[]) => R | null,
): R | null => {
  if (node.rest === null) return null
  captures.push(values.slice(depth).join('/'))
  const result = visit(node.rest, captures)
  captures.pop()
  return result
}
