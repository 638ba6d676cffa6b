import { checkParsePolicySet, type PolicyJson, type TypeAndId } from '@cedar-policy/cedar-wasm/nodejs'
import { LRUCache } from 'lru-cache'
import { isMap, isNode, isScalar, isSeq, type Node, type Pair, parseDocument, type YAMLMap } from 'yaml'
import { didYouMean } from '../../../core/nearest.ts'
import {
  decodeSource,
  type FindingKind,
  findingAt,
  oneLine,
  type Piece,
  type Report,
  type SourceFile,
  wholePiece,
} from './cedar-findings.ts'
import { type CedarPolicy, duplicateMessage, type ReadPolicies } from './cedar-policies.ts'

const LINK: FindingKind = { rule: 'cedar-link', severity: 'error' }
const UNLINKED: FindingKind = { rule: 'cedar-unlinked-template', severity: 'warning' }
const DUPLICATE_ID: FindingKind = { rule: 'cedar-duplicate-id', severity: 'error' }

const KEYS = ['id', 'template', 'principal', 'resource'] as const
type Key = (typeof KEYS)[number]

/**
 * The policies that links make of templates, in the order of the files.
 *
 * A link is the template's policy with entities in the places of its slots. What is wrong with one is reported at its
 * place, and so is a template that no link uses. Does not check that the entities fit a schema.
 */
export const readLinks = (
  files: readonly SourceFile[],
  { templates, taken }: Pick<ReadPolicies, 'templates' | 'taken'>,
  report: Report,
): readonly CedarPolicy[] => {
  const byId = new Map(templates.map((template) => [template.id, template]))
  const used = new Set<string>()
  const places = new Map(taken)
  const links = files.flatMap((file) => {
    const text = decodeSource(file, LINK.rule, report)
    if (text === null) return []
    const whole = wholePiece(file.path, text)
    const tell: Tell = (node, message, kind = LINK) =>
      report(findingAt(whole, offsetOf(node), kind, oneLine(message)))
    return entriesOf(whole, tell, report).flatMap((entry): readonly CedarPolicy[] => {
      const values = valuesOf(entry, tell)
      const id = values && textOf(values, 'id', entry, tell)
      const name = values && textOf(values, 'template', entry, tell)
      if (values === null || id === null || name === null) return []
      const template = byId.get(name)
      const [start = 0, end = 0] = entry.range ?? []
      const piece = { ...whole, start, text: text.slice(start, end) }
      const idNode = values.get('id') ?? entry
      const earlier = places.get(id)
      if (earlier === undefined) places.set(id, { piece, at: offsetOf(idNode) })
      else tell(idNode, duplicateMessage(id, file.path, earlier), DUPLICATE_ID)
      if (template === undefined) {
        const names = new Set(byId.keys())
        tell(
          values.get('template') ?? entry,
          `found no template ${JSON.stringify(name)}${didYouMean(name, names)}`,
        )
        return []
      }
      used.add(name)
      const json = fill(template, values, entry, tell)
      if (json === null) return []
      return [{ ...template, id, json, piece, text: piece.text, template: name }]
    })
  })
  for (const { id, piece, json } of templates) {
    const message = `no link uses the template ${JSON.stringify(id)}: it decides nothing`
    if (!used.has(id)) report(findingAt(piece, piece.start, UNLINKED, message))
    else if (!isExact(json.conditions)) {
      const problem = `found a number beyond 2^53 in the template ${JSON.stringify(id)}, which its links would not hold exactly`
      report(findingAt(piece, piece.start, LINK, problem))
    }
  }
  return links
}

type Tell = (node: Node | null, message: string, kind?: FindingKind) => void

const offsetOf = (node: Node | null): number => node?.range?.[0] ?? 0

const nodeOf = (value: unknown): Node | null => (isNode(value) ? value : null)

/** The list below `links`. */
const entriesOf = (whole: Piece, tell: Tell, report: Report): readonly YAMLMap[] => {
  const document = parseDocument(whole.whole, { prettyErrors: false, logLevel: 'silent' })
  const problems = [...document.errors, ...document.warnings]
  for (const { pos, message } of problems) report(findingAt(whole, pos[0], LINK, oneLine(message)))
  if (problems.length > 0) return []
  const root: unknown = document.contents
  const pairs: readonly Pair<unknown, unknown>[] = isMap(root) ? root.items : []
  const list = pairs.find(({ key }) => isScalar(key) && key.value === 'links')
  for (const pair of pairs) {
    if (pair !== list) tell(nodeOf(pair.key), 'found another key than links at the top')
  }
  if (!isSeq(list?.value)) {
    tell(
      nodeOf(list?.value) ?? nodeOf(root),
      'found no links, expected a list of { id, template, principal?, resource? }',
    )
    return []
  }
  return list.value.items.flatMap((item) => {
    if (isMap(item)) return [item]
    tell(nodeOf(item), 'found no link, expected { id, template, principal?, resource? }')
    return []
  })
}

type Values = ReadonlyMap<Key, Node | null>

const isKey = (key: unknown): key is Key => KEYS.some((known) => known === key)

const valuesOf = (entry: YAMLMap, tell: Tell): Values | null => {
  const values = new Map<Key, Node | null>()
  for (const { key, value } of entry.items as readonly Pair<unknown, unknown>[]) {
    const name: unknown = isScalar(key) ? key.value : null
    if (isKey(name)) values.set(name, nodeOf(value))
    else {
      const near = didYouMean(String(name), new Set(KEYS))
      tell(nodeOf(key), `found the unknown key ${JSON.stringify(name)}${near}, expected ${KEYS.join(', ')}`)
      return null
    }
  }
  return values
}

// NUL, and halves of surrogate pairs: Cedar would be given other characters in their place.
const UNREADABLE = /[\0\p{Cs}]/u

const textOf = (values: Values, key: Key, entry: YAMLMap, tell: Tell): string | null => {
  const node = values.get(key) ?? null
  const text: unknown = isScalar(node) ? node.value : null
  if (typeof text === 'string' && text !== '' && !UNREADABLE.test(text)) return text
  tell(node ?? entry, `found no ${key}, expected a text that is not empty`)
  return null
}

const ENTITY = /^([A-Za-z_]\w*(?:::[A-Za-z_]\w*)*)::("(?:[^"\\]|\\.)*")$/s
const TYPE = /^[A-Za-z_]\w*(?:::[A-Za-z_]\w*)*$/

/** An entity, written as Cedar writes it or as `{ type, id }`. */
const entityOf = (node: Node | null): TypeAndId | null => {
  if (isScalar(node) && typeof node.value === 'string') {
    const [, type, quoted] = ENTITY.exec(node.value) ?? []
    return entityIfSound(type, quoted === undefined ? null : unquoted(quoted))
  }
  if (!isMap(node) || node.items.length !== 2) return null
  return entityIfSound(node.get('type'), node.get('id'))
}

/** Null for what Cedar would not read: its policies could not be prepared any more, when a question wants them. */
const entityIfSound = (type: unknown, id: unknown): TypeAndId | null =>
  typeof type === 'string' && isType(type) && typeof id === 'string' && !UNREADABLE.test(id)
    ? { type, id }
    : null

// Types are few, links many. Module state that no configuration changes.
const judged = new LRUCache<string, boolean>({ max: 1000 })

/** Some names are Cedar's own, such as `if` and `__cedar`. */
const isType = (text: string): boolean => {
  if (!TYPE.test(text)) return false
  const known = judged.get(text)
  if (known !== undefined) return known
  const policies = { staticPolicies: { type: `permit (principal is ${text}, action, resource);` } }
  const isGood = checkParsePolicySet(policies).type === 'success'
  judged.set(text, isGood)
  return isGood
}

/** True unless there is an integer that JSON has only nearly. */
const isExact = (expression: unknown): boolean => {
  if (typeof expression === 'number') return Number.isSafeInteger(expression)
  if (typeof expression !== 'object' || expression === null) return true
  return Object.values(expression).every(isExact)
}

const unquoted = (quoted: string): string | null => {
  try {
    const value: unknown = JSON.parse(quoted)
    return typeof value === 'string' ? value : null
  } catch {
    return null
  }
}

const fill = (
  { json, id: template }: CedarPolicy,
  values: Values,
  entry: YAMLMap,
  tell: Tell,
): PolicyJson | null => {
  let isWhole = true
  const filled = <C extends PolicyJson['principal'] | PolicyJson['resource']>(
    slot: 'principal' | 'resource',
    constraint: C,
  ): C => {
    const node = values.get(slot) ?? null
    const isGiven = values.has(slot)
    const told = (at: Node | null, message: string): C => {
      isWhole = false
      tell(at, message)
      return constraint
    }
    if (!hasSlot(constraint)) {
      const message = `found a ${slot}, which the template ${JSON.stringify(template)} has no slot for`
      return isGiven ? told(node ?? entry, message) : constraint
    }
    if (!isGiven) return told(entry, `found no ${slot}, which the template ${JSON.stringify(template)} wants`)
    const entity = entityOf(node)
    if (entity === null)
      return told(node ?? entry, `found no entity as ${slot}, expected { type, id } or Type::"id"`)
    // As it is but for its slot, which `hasSlot` has found in one of two places.
    if ('slot' in constraint) return { op: constraint.op, entity } as unknown as C
    return { ...constraint, in: { entity } } as unknown as C
  }
  const principal = filled('principal', json.principal)
  const resource = filled('resource', json.resource)
  return isWhole ? { ...json, principal, resource } : null
}

const hasSlot = (constraint: PolicyJson['principal'] | PolicyJson['resource']): boolean =>
  'slot' in constraint || (constraint.op === 'is' && constraint.in !== undefined && 'slot' in constraint.in)
