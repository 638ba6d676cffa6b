import {
  checkParseEntities,
  type Entities,
  type EntityJson,
  type Schema,
} from '@cedar-policy/cedar-wasm/nodejs'
import { type Document, isMap, isNode, isScalar, parseDocument } from 'yaml'
import type { JsonValue } from '../../../core/json.ts'
import { parseStrictJson } from '../../../core/strict-json.ts'
import {
  type cedarFindings,
  decodeSource,
  type FindingKind,
  findingAt,
  oneLine,
  type Report,
  type SourceFile,
  wholePiece,
} from './cedar-findings.ts'
import { MAX_JSON_DEPTH } from './cedar-schema.ts'

/** An entity of the entities file, and the entities that can be reached from it in one step. */
export interface StoredEntity {
  readonly json: EntityJson
  readonly references: readonly string[]
}

/** The entities of an entities file by `entityKey`. */
export type EntityStore = ReadonlyMap<string, StoredEntity>

const ENTITIES: FindingKind = { rule: 'cedar-entities', severity: 'error' }
const KEYS: ReadonlySet<string> = new Set(['uid', 'attrs', 'parents', 'tags'])

/** One key for one entity. Cedar refuses type names that could be written in more than one way. */
export const entityKey = (type: string, id: string): string => `${type}::${JSON.stringify(id)}`

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The key of a reference, written as `{ type, id }`; `{ __entity: … }` holds one of these. */
export const referenceKey = (value: object): string | null => {
  if (!isObject(value)) return null
  const { type, id } = value
  return typeof type === 'string' && typeof id === 'string' ? entityKey(type, id) : null
}

/** Every entity that a value mentions, and perhaps more: with a schema `{ type, id }` alone is a reference too. */
export const collectReferences = (value: unknown, into: Set<string>): void => {
  if (typeof value !== 'object' || value === null) return
  const key = referenceKey(value)
  if (key !== null) into.add(key)
  for (const inner of Object.values(value)) collectReferences(inner, into)
}

/** The entities of a file; null after its mistakes were reported, each at the entity that has it. */
export const readEntities = (file: SourceFile, schema: Schema | null, report: Report): EntityStore | null => {
  const text = decodeSource(file, ENTITIES.rule, report)
  if (text === null) return null
  const piece = wholePiece(file.path, text)
  const parsed = parseStrictJson(text, { caseInsensitiveDuplicates: false, maxDepth: MAX_JSON_DEPTH })
  if ('problem' in parsed) {
    report(findingAt(piece, parsed.offset, ENTITIES, `found what is not JSON: ${parsed.problem}`))
    return null
  }
  const found: Misplaced[] = []
  const store = storeOf(parsed.value, (path, message, atKey = false) => found.push({ path, message, atKey }))
  if (found.length === 0) checkByCedar(parsed.value, schema, found)
  if (found.length === 0) return store
  const document = parseDocument(text, { uniqueKeys: false, logLevel: 'silent' })
  for (const misplaced of found) {
    report(findingAt(piece, offsetOf(document, misplaced), ENTITIES, misplaced.message))
  }
  return null
}

const offsetOf = (document: Document, { path, atKey }: Misplaced): number => {
  const holder = atKey === true ? document.getIn(path.slice(0, -1), true) : null
  const pair = isMap(holder) && holder.items.find(({ key }) => isScalar(key) && key.value === path.at(-1))
  const node = pair ? pair.key : document.getIn(path, true)
  return isNode(node) ? (node.range?.[0] ?? 0) : 0
}

interface Misplaced {
  readonly path: readonly (string | number)[]
  /** Points at the key instead of its value. */
  readonly atKey?: boolean
  readonly message: string
}

type Misplace = (path: Misplaced['path'], message: string, atKey?: boolean) => void

const storeOf = (value: JsonValue, misplace: Misplace): EntityStore => {
  const store = new Map<string, StoredEntity>()
  if (!Array.isArray(value)) misplace([], 'found no list, expected a list of entities')
  for (const [index, entity] of (Array.isArray(value) ? value : []).entries()) {
    if (!isObject(entity)) {
      misplace([index], 'found no entity, expected { uid, attrs, parents }')
      continue
    }
    for (const key of Object.keys(entity)) {
      // Cedar ignores it.
      if (!KEYS.has(key))
        misplace(
          [index, key],
          `found the unknown key ${JSON.stringify(key)}, expected uid, attrs, parents or tags`,
          true,
        )
    }
    const fraction = findFraction(entity)
    if (fraction !== null)
      misplace([index, ...fraction], 'found a number with a fraction, which Cedar does not have')
    const key = uidKey(entity.uid)
    if (key === null) misplace([index, 'uid'], 'found no uid, expected { type, id }')
    else if (store.has(key)) misplace([index, 'uid'], `found the entity ${oneLine(key)} a second time`)
    // Its shape is checked by Cedar, before the store is used.
    else store.set(key, { json: entity as unknown as EntityJson, references: referencesOf(entity) })
  }
  return store
}

const uidKey = (uid: unknown): string | null => {
  if (!isObject(uid)) return null
  return isObject(uid.__entity) ? referenceKey(uid.__entity) : referenceKey(uid)
}

const referencesOf = (entity: Readonly<Record<string, unknown>>): readonly string[] => {
  const references = new Set<string>()
  collectReferences([entity.attrs, entity.parents, entity.tags], references)
  return [...references]
}

const findFraction = (value: unknown): readonly (string | number)[] | null => {
  if (typeof value === 'number') return Number.isInteger(value) ? null : []
  if (typeof value !== 'object' || value === null) return null
  for (const [key, inner] of Object.entries(value)) {
    const path = findFraction(inner)
    if (path !== null) return [Array.isArray(value) ? Number(key) : key, ...path]
  }
  return null
}

const checkByCedar = (value: JsonValue, schema: Schema | null, found: Misplaced[]): void => {
  // Cedar checks the shape: that is what it is asked for.
  const entities = value as unknown as Entities
  const whole = checkParseEntities({ entities, schema })
  if (whole.type === 'success') return
  const message = (errors: Parameters<typeof cedarFindings>[0]): string =>
    oneLine(errors.map((error) => [error.message, error.help].filter(Boolean).join('; ')).join('; '))
  for (const [index, entity] of entities.entries()) {
    const alone = checkParseEntities({ entities: [entity], schema })
    if (alone.type === 'failure') found.push({ path: [index], message: message(alone.errors) })
  }
  // What no entity has by itself, such as a cycle.
  if (found.length === 0) found.push({ path: [], message: message(whole.errors) })
}
