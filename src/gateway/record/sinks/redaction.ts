import { createHmac } from 'node:crypto'
import type { JsonObject, JsonValue } from '../../../core/json.ts'
import { didYouMean } from '../../../core/nearest.ts'
import type { DecisionRecord } from '../decision-record.ts'

/** Where a value stands in a record: keys, from the outermost; a list is passed through. */
export type RedactPath = readonly [root: string, ...keys: string[]]

/** What a question is made of; stands in the record, and in each of `evaluations`. */
const QUESTION = ['subject', 'action', 'resource', 'context']
const ROOTS = [...QUESTION, 'credential', 'inputs', 'request', 'evaluations', 'detail', 'traceparent']

// A key with a dot in it is in quotes: "…" as in JSON, or '…' as it is.
const KEY = /(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([^."']+))(\.|$)/y

/** Reads `context.ssn` or `inputs."body.ssn"`. */
export const parseRedactPath = (text: string): RedactPath | { readonly problem: string } => {
  const [root, ...keys] = keysOf(text)
  if (root === undefined) {
    return { problem: `found ${JSON.stringify(text)}, expected a place in the record such as context.ssn` }
  }
  if (!ROOTS.includes(root)) return unknown(root, ROOTS)
  const [first] = keys
  if (root !== 'evaluations' || (first !== undefined && QUESTION.includes(first))) return [root, ...keys]
  return unknown(first ?? '', QUESTION)
}

const unknown = (found: string, known: readonly string[]): { readonly problem: string } => ({
  problem: `found ${JSON.stringify(found)}, expected one of ${known.join(', ')}${didYouMean(found, known)}`,
})

/** None when the text is not a path. */
const keysOf = (text: string): readonly string[] => {
  const keys: string[] = []
  const key = new RegExp(KEY)
  while (key.lastIndex < text.length || keys.length === 0) {
    const match = key.exec(text)
    if (match === null) return []
    const [, quoted, single, bare, separator] = match
    const value = quoted === undefined ? (single ?? bare ?? '') : unquoted(quoted)
    if (value === '') return []
    keys.push(value)
    if (separator === '.' && key.lastIndex === text.length) return []
  }
  return keys
}

const unquoted = (text: string): string => {
  try {
    return JSON.parse(`"${text}"`)
  } catch {
    return ''
  }
}

/**
 * Replaces the values at these places by `hmac-sha256:<hex>`: equal values by equal hashes, so that records can still
 * be counted and joined.
 *
 * A value that was replaced is also replaced where `inputs` or `request.path` hold the same one. Of `errors` only the
 * policies' ids stay, since their texts repeat values.
 */
export const createRedaction = (
  paths: readonly RedactPath[],
  key: string,
): ((record: DecisionRecord) => DecisionRecord) => {
  const places = paths.flatMap((path): RedactPath[] =>
    QUESTION.includes(path[0]) ? [path, ['evaluations', ...path], ...authenticatedToo(path)] : [path],
  )
  return (record) => {
    const hashes = createHashes(key)
    // A record is JSON, but for fields that are undefined, which its interface cannot say.
    let redacted = record as unknown as JsonObject
    for (const path of places) redacted = concealAt(redacted, path, hashes.of)
    const { inputs, request, detail, adminReason, advice, mark } = redacted as unknown as DecisionRecord
    return {
      ...(redacted as unknown as DecisionRecord),
      ...(inputs === undefined ? {} : { inputs: concealKnown(inputs, hashes) as JsonObject }),
      ...(record.errors === undefined ? {} : { errors: record.errors.map(withoutText) }),
      ...(detail === undefined ? {} : { detail: concealIn(detail, hashes) }),
      ...(adminReason === undefined ? {} : { adminReason: concealIn(adminReason, hashes) }),
      ...(advice === undefined ? {} : { advice: advice.map((text) => concealIn(text, hashes)) }),
      ...(mark === undefined ? {} : { mark: concealMark(mark, paths, hashes) }),
      request: { ...request, ...concealPath(request.path, hashes) },
    }
  }
}

/** What a mark is about stands in records under these places. */
const MARKED: ReadonlyMap<string, readonly string[]> = new Map([
  ['subject', ['subject', 'id']],
  ['resource', ['resource', 'id']],
  ['credential', ['credential', 'id']],
  ['task', ['context', 'task', 'id']],
])

/** A mark names its target where no question does; a person's word why may name it, too. */
const concealMark = (
  mark: NonNullable<DecisionRecord['mark']>,
  paths: readonly RedactPath[],
  hashes: Hashes,
): NonNullable<DecisionRecord['mark']> => {
  const place = MARKED.get(mark.kind)
  const isMeant = (path: readonly string[]): boolean =>
    path.length <= (place?.length ?? 0) && path.every((key, index) => key === place?.[index])
  const bare = paths.map((path) => (path[0] === 'evaluations' ? path.slice(1) : path))
  if (!bare.some((path) => path.length > 0 && isMeant(path))) return mark
  const at = place?.length === 2 && place[0] !== 'credential' ? mark.target.indexOf('::') : -1
  const idAt = at < 0 ? 0 : at + 2
  const target = `${mark.target.slice(0, idAt)}${hashes.of(mark.target.slice(idAt))}`
  return { ...mark, target, reason: concealIn(mark.reason, hashes) }
}

/** The subject stands in the record a second time, where the route has added to it. */
const authenticatedToo = ([root, ...keys]: RedactPath): readonly RedactPath[] =>
  root === 'subject' ? [['authenticated', ...keys]] : []

interface Hashes {
  /** The hash of a value, remembered. */
  readonly of: (value: Scalar) => string
  /** The hash of a value that was seen before. */
  readonly known: (value: Scalar) => string | undefined
  /** As it could stand in a path. */
  readonly texts: () => Iterable<readonly [text: string, hash: string]>
}

type Scalar = string | number | boolean | null

const createHashes = (key: string): Hashes => {
  const byValue = new Map<Scalar, string>()
  const made = new Set<string>()
  return {
    of: (value) => {
      // Where two paths lead to the same place, its hash is not hashed again.
      if (typeof value === 'string' && made.has(value)) return value
      const digest = createHmac('sha256', key).update(JSON.stringify(value)).digest('hex')
      const hash = `hmac-sha256:${digest}`
      byValue.set(value, hash)
      made.add(hash)
      return hash
    },
    // Nothing and the empty text tell nobody anything.
    known: (value) => (value === null || value === '' ? undefined : byValue.get(value)),
    texts: function* () {
      for (const [value, hash] of byValue) {
        if (typeof value === 'number' || (typeof value === 'string' && value !== ''))
          yield [String(value), hash]
      }
    },
  }
}

const isObject = (value: JsonValue | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isList = (value: JsonValue | undefined): value is readonly JsonValue[] => Array.isArray(value)

const mapLeaves = (value: JsonValue, change: (leaf: Scalar) => Scalar): JsonValue => {
  if (isList(value)) return value.map((item) => mapLeaves(item, change))
  // A field of the record that is unknown is there, and undefined.
  if (!isObject(value)) return value === undefined ? value : change(value as Scalar)
  // Object.fromEntries makes `__proto__` a key like any other.
  return Object.fromEntries(Object.entries(value).map(([key, held]) => [key, mapLeaves(held, change)]))
}

/** The same value, with each leaf at the path replaced; what the path does not meet stays. */
const concealAt = <T extends JsonValue>(value: T, path: readonly string[], hash: Hashes['of']): T => {
  const [key, ...rest] = path
  // The shape stays: lists are lists and maps are maps, so that the record keeps its type.
  if (key === undefined) return mapLeaves(value, hash) as T
  if (isList(value)) return value.map((item) => concealAt(item, path, hash)) as JsonValue as T
  if (!isObject(value) || !Object.hasOwn(value, key)) return value
  const held = value[key]
  return held === undefined ? value : ({ ...value, [key]: concealAt(held, rest, hash) } as JsonValue as T)
}

const concealKnown = (value: JsonValue, hashes: Hashes): JsonValue =>
  mapLeaves(value, (leaf) => hashes.known(leaf) ?? leaf)

/** A value that came from the path is still in it, encoded. */
const concealPath = (path: string | undefined, hashes: Hashes): { readonly path?: string } => {
  if (path === undefined) return {}
  let segments = path.split('/')
  for (const [text, hash] of hashes.texts()) {
    // The tail that {*rest} took is several segments.
    if (text.includes('/') && decoded(path).includes(text)) return { path: hashes.of(path) }
    segments = segments.map((segment) => (decoded(segment) === text ? hash : segment))
  }
  return { path: segments.join('/') }
}

/** Details name what was read, not its value; this holds where one does not keep to that. */
const concealIn = (detail: string, hashes: Hashes): string => {
  let concealed = detail
  for (const [text, hash] of hashes.texts()) {
    if (text.length >= LEAST_TELLING_LENGTH) concealed = concealed.replaceAll(text, hash)
  }
  return concealed
}

/** Shorter ones stand in any text by chance. */
const LEAST_TELLING_LENGTH = 4

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const POLICY_ID = /^[\w./-]+(?=: )/

/** An engine's message quotes the values that it stumbled over. */
const withoutText = (error: string): string => {
  const [id] = POLICY_ID.exec(error) ?? []
  return id === undefined ? '(redacted)' : `${id}: (redacted)`
}
