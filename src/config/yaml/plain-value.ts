import { type Alias, isAlias, isMap, isScalar, isSeq, type Node, type Pair, Scalar } from 'yaml'
import type { TextProblem } from './syntax-errors.ts'

/** How deep a file may nest. */
const MAX_DEPTH = 100
/** How many values all aliases of a file may stand for together. */
const MAX_ALIASED_VALUES = 100_000

/** Stands for a value that cannot be read; that was reported, so nobody else has to. */
export const UNREADABLE = Symbol('unreadable')

const CORE_TAGS: ReadonlySet<string> = new Set([
  '!',
  ...['bool', 'float', 'int', 'map', 'null', 'seq', 'str'].map((name) => `tag:yaml.org,2002:${name}`),
])

interface Walk {
  readonly report: (problem: TextProblem) => void
  readonly lineOf: (offset: number) => number
  readonly anchors: Map<string, Node>
  readonly done: Map<Node, { readonly value: unknown; readonly size: number }>
  readonly targets: Map<Alias, Node>
  aliasedValues: number
  /** Values so far, each alias counted with all that it stands for. */
  size: number
}

const startOf = (node: Node): number => node.range?.[0] ?? 0

const problemAt = (walk: Walk, node: Node, rule: string, message: string): void =>
  walk.report({ offset: startOf(node), rule, message })

const checkText = (walk: Walk, node: Node, value: string): void => {
  if (value.includes('\0')) problemAt(walk, node, 'yaml', 'found a NUL character in a string')
  else if (/\p{Surrogate}/u.test(value)) {
    problemAt(walk, node, 'yaml', 'found half of a surrogate pair in a string, expected Unicode text')
  }
}

const scalarValue = (walk: Walk, node: Scalar): unknown => {
  const { value } = node
  if (typeof value === 'string') {
    // Only the escapes of double quotes can spell these; the text itself was checked before.
    if (node.type === Scalar.QUOTE_DOUBLE) checkText(walk, node, value)
    return value
  }
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) {
      problemAt(walk, node, 'number', 'found a number that is not finite, expected a finite one')
    } else if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
      const limit = 'expected one between -(2^53 - 1) and 2^53 - 1, or a quoted string'
      problemAt(walk, node, 'number', `found an integer that cannot be kept exactly, ${limit}`)
    }
    return value
  }
  return typeof value === 'boolean' ? value : null
}

const keyOf = (walk: Walk, pair: Pair<Node, Node | null>): string | null => {
  const { key } = pair
  if (isScalar(key) && typeof key.value === 'string') {
    if (key.anchor !== undefined) {
      walk.anchors.set(key.anchor, key)
      walk.done.set(key, { value: key.value, size: 1 })
    }
    if (key.value === '<<' && key.type === Scalar.PLAIN) {
      problemAt(
        walk,
        key,
        'yaml',
        'found a merge key (<<), expected the keys themselves; merging is not supported',
      )
      return null
    }
    if (key.value === '__proto__') {
      problemAt(walk, key, 'yaml', 'found the key "__proto__", which is not allowed')
      return null
    }
    checkText(walk, key, key.value)
    return key.value
  }
  const found = isScalar(key) ? describeKey(key.value) : isAlias(key) ? 'an alias' : 'a map or a list'
  problemAt(walk, key, 'yaml', `found ${found} as a key, expected a string; put it in quotes if it is one`)
  return null
}

const describeKey = (value: unknown): string =>
  value === null ? 'nothing' : typeof value === 'number' ? 'a number' : 'true or false'

const mapValue = (walk: Walk, pairs: readonly Pair<Node, Node | null>[], depth: number): unknown => {
  const result: Record<string, unknown> = {}
  const keys = new Map<string, Node>()
  for (const pair of pairs) {
    const key = keyOf(walk, pair)
    const value = pair.value === null ? null : plain(walk, pair.value, depth)
    if (key === null) continue
    const first = keys.get(key)
    if (first !== undefined) {
      const line = walk.lineOf(startOf(first))
      const found = `found the key ${JSON.stringify(key)} a second time`
      const message = `${found}, expected it once; the first is on line ${line}`
      problemAt(walk, pair.key, 'duplicate-key', message)
      continue
    }
    keys.set(key, pair.key)
    result[key] = value
  }
  return result
}

const aliasValue = (walk: Walk, alias: Alias): unknown => {
  const target = walk.anchors.get(alias.source)
  if (target === undefined) {
    const quotes = 'a string that starts with * needs quotes'
    problemAt(walk, alias, 'yaml', `found an alias without an anchor of that name before it; ${quotes}`)
    return UNREADABLE
  }
  const known = walk.done.get(target)
  if (known === undefined) {
    problemAt(walk, alias, 'yaml', 'found an alias inside of what it stands for')
    return UNREADABLE
  }
  walk.targets.set(alias, target)
  walk.size += known.size
  const before = walk.aliasedValues
  walk.aliasedValues += known.size
  if (walk.aliasedValues <= MAX_ALIASED_VALUES) return known.value
  if (before <= MAX_ALIASED_VALUES) {
    const message = `the aliases up to here stand for more than ${MAX_ALIASED_VALUES} values, which is the limit`
    problemAt(walk, alias, 'yaml', message)
  }
  return UNREADABLE
}

const plain = (walk: Walk, node: Node, depth: number): unknown => {
  if (isAlias(node)) return aliasValue(walk, node)
  const sizeBefore = walk.size
  walk.size += 1
  if (node.anchor !== undefined) {
    walk.anchors.set(node.anchor, node)
    walk.done.delete(node)
  }
  const value = nodeValue(walk, node, depth + 1)
  if (node.anchor !== undefined) walk.done.set(node, { value, size: walk.size - sizeBefore })
  return value
}

const nodeValue = (walk: Walk, node: Node, depth: number): unknown => {
  // Reported by the parser.
  if (node.tag !== undefined && !CORE_TAGS.has(node.tag)) return UNREADABLE
  if (isScalar(node)) return scalarValue(walk, node)
  if (depth > MAX_DEPTH) {
    problemAt(walk, node, 'yaml', `found more than ${MAX_DEPTH} maps and lists within each other`)
    return UNREADABLE
  }
  if (isSeq<Node>(node)) return node.items.map((item) => plain(walk, item, depth))
  if (isMap<Node, Node | null>(node)) return mapValue(walk, node.items, depth)
  return null
}

/**
 * Turns nodes into plain values, with every alias replaced by what it stands for.
 *
 * Reports what configuration files may not hold: duplicate and other than string keys, merge keys, NUL,
 * numbers that cannot be kept, aliases that cannot be followed or that multiply.
 *
 * @returns the value, with `UNREADABLE` where something was reported, and what each alias stands for.
 */
export const plainValue = (
  root: Node | null,
  lineOf: (offset: number) => number,
  report: (problem: TextProblem) => void,
): { readonly value: unknown; readonly targets: ReadonlyMap<Alias, Node> } => {
  const walk: Walk = {
    report,
    lineOf,
    anchors: new Map(),
    done: new Map(),
    targets: new Map(),
    aliasedValues: 0,
    size: 0,
  }
  return { value: root === null ? null : plain(walk, root, 0), targets: walk.targets }
}
