import type { EntityJson, StatefulAuthorizationCall } from '@cedar-policy/cedar-wasm/nodejs'
import type { AccessRequest } from '../../../core/access-request.ts'
import { canonicalText } from '../../../core/canonical-hash.ts'
import type { JsonObject } from '../../../core/json.ts'
import { collectReferences, type EntityStore, entityKey } from './cedar-entities.ts'

/** The part of Cedar's call that the access request decides. */
export type CedarQuestion = Pick<
  StatefulAuthorizationCall,
  'principal' | 'action' | 'resource' | 'context' | 'entities'
>

export interface QuestionSources {
  readonly entities: EntityStore
  /** Entities that a policy may look into because its text names them. */
  readonly named: ReadonlySet<string>
  /** Action types other than `Action`, by the action's name. */
  readonly actionTypes: ReadonlyMap<string, string>
}

// Cedar reads 128 levels, some of which are its own; a mapped body has 32 at most.
const MAX_DEPTH = 64
const LONE_SURROGATE = /\p{Surrogate}/u
const NO_PROPERTIES: JsonObject = {}

/** All that can be reached from some entities by parents, attributes and tags, themselves included. */
const reachable = (entities: EntityStore, from: Iterable<string>): ReadonlySet<string> => {
  const seen = new Set(from)
  // A set's iteration also visits what is added meanwhile.
  for (const key of seen) {
    for (const reference of entities.get(key)?.references ?? []) seen.add(reference)
  }
  return seen
}

/**
 * An access request as Cedar is asked it.
 *
 * Of the entities file it holds only what an evaluation can come to: a policy reaches an entity by the request, by
 * its own text, or from an entity that it has reached. Cedar reads all that it is given anew each time, 15 µs an
 * entity (measured).
 *
 * @returns a problem when Cedar could not read the request, or would read something else than was asked.
 */
export const cedarQuestion = (
  request: AccessRequest,
  { entities, named, actionTypes }: QuestionSources,
): CedarQuestion | { readonly problem: string } => {
  const problem = unreadable(request, 0)
  if (problem !== null) return { problem: `Cedar cannot be asked: the request has ${problem}` }
  const { subject, action, resource, context } = request
  const principal = uid(subject.type, subject.id)
  const actionUid = uid(actionTypes.get(action.name) ?? 'Action', action.name)
  const resourceUid = uid(resource.type, resource.id)
  const merged = ownEntities(
    [
      { uid: principal, properties: subject.properties },
      { uid: actionUid, properties: action.properties },
      { uid: resourceUid, properties: resource.properties },
    ],
    entities,
  )
  if ('problem' in merged) return merged
  const { own } = merged

  const references = new Set<string>(named)
  collectReferences([principal, actionUid, resourceUid, context], references)
  for (const entity of own.values()) collectReferences(entity.attrs, references)
  const list = [...own.values()]
  for (const key of reachable(entities, references)) {
    const stored = entities.get(key)
    if (stored !== undefined && !own.has(key)) list.push(stored.json)
  }
  return {
    principal,
    action: actionUid,
    resource: resourceUid,
    // JSON is what Cedar takes; its own type has the arrays mutable.
    context: context as CedarQuestion['context'],
    entities: list,
  }
}

interface Uid {
  readonly type: string
  readonly id: string
}

const uid = (type: string, id: string): Uid => ({ type, id })

/** The entities to which the request gives attributes: those over the ones of the entities file. */
const ownEntities = (
  parts: readonly { readonly uid: Uid; readonly properties: JsonObject | undefined }[],
  entities: EntityStore,
): { readonly own: ReadonlyMap<string, EntityJson> } | { readonly problem: string } => {
  const own = new Map<string, EntityJson>()
  const met = new Set<string>()
  for (const { uid, properties = NO_PROPERTIES } of parts) {
    const key = entityKey(uid.type, uid.id)
    const before = own.get(key) ?? entities.get(key)?.json ?? { uid, attrs: {}, parents: [] }
    // Who acts on itself must not become somebody else by what the route says of the resource.
    const clash = met.has(key) ? clashing(before.attrs, properties) : null
    if (clash !== null)
      return { problem: `two parts of the request are one entity with two values of ${clash}` }
    met.add(key)
    if (Object.keys(properties).length === 0) continue
    own.set(key, { ...before, attrs: { ...before.attrs, ...(properties as EntityJson['attrs']) } })
  }
  return { own }
}

const clashing = (attributes: EntityJson['attrs'], properties: JsonObject): string | null => {
  for (const [name, value] of Object.entries(properties)) {
    const same = Object.hasOwn(attributes, name) && canonicalText(attributes[name]) === canonicalText(value)
    if (Object.hasOwn(attributes, name) && !same) return name
  }
  return null
}

/** The first thing that Cedar has no value for, and where; null when all can be read. */
const unreadable = (value: unknown, depth: number): string | null => {
  if (typeof value === 'string') {
    // JSON text has no other form for it than an escape, which Cedar's parser does not take.
    return LONE_SURROGATE.test(value) ? 'a string that is not well-formed Unicode' : null
  }
  if (typeof value === 'number') {
    if (!Number.isInteger(value)) return 'a number with a fraction'
    return Number.isSafeInteger(value) ? null : 'an integer beyond 2^53'
  }
  if (typeof value !== 'object' || value === null) return null
  if (depth === MAX_DEPTH) return `more than ${MAX_DEPTH} levels`
  for (const [key, inner] of Object.entries(value)) {
    if (LONE_SURROGATE.test(key)) return 'a key that is not well-formed Unicode'
    const problem = unreadable(inner, depth + 1)
    if (problem !== null) return `${problem}, in ${key}`
  }
  return null
}
