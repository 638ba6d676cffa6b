/** Paths that were seen, with what looks like a value in place of itself. */
export interface PathTree {
  /** @param path canonical, without a query. */
  readonly add: (method: string, path: string) => void
  /** Every method of every path, the most frequent first. */
  readonly list: () => readonly SeenPath[]
  /** How many requests were not kept, since there were too many different ones. */
  readonly dropped: () => number
}

export interface SeenPath {
  readonly method: string
  /** `{…}` in place of values. */
  readonly path: string
  readonly count: number
}

interface Node {
  readonly literals: Map<string, Node>
  /** What is below any value. */
  value: Node | null
  /** True: there were too many names for them to be names. */
  onlyValues: boolean
  readonly methods: Map<string, number>
}

/** More names than these at one place are taken for values. */
const MAX_LITERALS = 20
const MAX_NODES = 100_000
const MAX_DEPTH = 32

const VALUE =
  /^(?:\d+|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{21,}|(?=.*\d)[0-9a-f]{8,}|(?=.*\d)[A-Za-z0-9_-]{16,}|[^@]+@[^@]+)$/i

const createNode = (): Node => ({ literals: new Map(), value: null, onlyValues: false, methods: new Map() })

/** Counts requests by method and path, in bounded memory. */
export const createPathTree = (): PathTree => {
  const root = createNode()
  let nodes = 1
  let dropped = 0

  const valueBelow = (node: Node): Node => {
    if (node.value === null) nodes += 1
    node.value ??= createNode()
    return node.value
  }

  const next = (node: Node, segment: string): Node => {
    const known = node.literals.get(segment)
    if (known !== undefined) return known
    if (node.onlyValues || VALUE.test(decoded(segment))) return valueBelow(node)
    if (node.literals.size < MAX_LITERALS) {
      const made = createNode()
      node.literals.set(segment, made)
      nodes += 1
      return made
    }
    const value = valueBelow(node)
    for (const literal of node.literals.values()) merge(value, literal)
    node.literals.clear()
    node.onlyValues = true
    return value
  }

  return {
    add: (method, path) => {
      const segments = path.split('/').slice(1)
      if (segments.length > 1 && segments.at(-1) === '') segments.pop()
      if (segments.length > MAX_DEPTH || nodes > MAX_NODES) {
        dropped += 1
        return
      }
      const node = segments.reduce(next, root)
      node.methods.set(method, (node.methods.get(method) ?? 0) + 1)
    },
    list: () => listed(root, '').sort((left, right) => right.count - left.count),
    dropped: () => dropped,
  }
}

const merge = (into: Node, from: Node): void => {
  for (const [method, count] of from.methods)
    into.methods.set(method, (into.methods.get(method) ?? 0) + count)
  for (const [name, child] of from.literals) {
    const known = into.literals.get(name) ?? createNode()
    into.literals.set(name, known)
    merge(known, child)
  }
  if (from.value === null) return
  into.value ??= createNode()
  merge(into.value, from.value)
}

const listed = (node: Node, path: string): SeenPath[] => [
  ...[...node.methods].map(([method, count]) => ({ method, path: path === '' ? '/' : path, count })),
  ...[...node.literals].flatMap(([name, child]) => listed(child, `${path}/${name}`)),
  ...(node.value === null ? [] : listed(node.value, `${path}/{${parameterAfter(path)}}`)),
]

/** `account` behind `/accounts`. */
const parameterAfter = (path: string): string => {
  const holder = path.split('/').findLast((segment) => segment !== '' && !segment.startsWith('{')) ?? 'id'
  return `${decoded(holder)
    .replaceAll(/[^A-Za-z0-9]+/g, '-')
    .replace(/s$/, '')}-id`
}

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
