import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs'
import { type EntityStore, entityKey, referenceKey, type StoredEntity } from './cedar-entities.ts'
import type { CedarPolicy } from './cedar-policies.ts'

/** The policies whose scope a question can match; equal keys, equal policies. */
export interface PolicySlice {
  readonly key: string
  readonly policies: () => readonly CedarPolicy[]
}

/** What of a question the scope of a policy looks at; the keys are those of `entityKey`. */
export interface ScopeQuestion {
  readonly principal: { readonly type: string; readonly id: string }
  readonly action: { readonly type: string; readonly id: string }
  readonly resource: { readonly type: string; readonly id: string }
}

export interface Slicer {
  /** Takes more policies; none any more once it was asked for a slice. */
  readonly add: (policies: readonly CedarPolicy[]) => void
  readonly sliceOf: (question: ScopeQuestion) => PolicySlice
}

/** Policies of one scope. */
interface Bucket {
  readonly number: number
  readonly policies: CedarPolicy[]
}

type ByPrincipal = Map<string, Bucket>
type ByResource = Map<string, ByPrincipal>
type ByAction = Map<string, ByResource>

const ANY = '*'

/**
 * Finds the policies that a question can match, without looking at the others.
 *
 * A policy whose scope does not match decides nothing and fails at nothing: Cedar looks at a condition only after the
 * scope. So the answer of a slice is that of all policies, errors included.
 *
 * @param entities and groups may still be added to before the first policy is.
 * @param groups ids of actions that others are in: `action in` one of these can match any action.
 */
export const createSlicer = (entities: EntityStore, groups: ReadonlySet<string>): Slicer => {
  const index: ByAction = new Map()
  let buckets = 0
  const add: Slicer['add'] = (policies) => {
    for (const policy of policies) {
      const { principal, action, resource } = policy.json
      const principalKey = entityScope(principal)
      const resourceKey = entityScope(resource)
      for (const actionKey of actionScopes(action, groups)) {
        const byPrincipal = nested(nested(index, actionKey), resourceKey)
        let bucket = byPrincipal.get(principalKey)
        if (bucket === undefined) {
          bucket = { number: buckets, policies: [] }
          buckets += 1
          byPrincipal.set(principalKey, bucket)
        }
        bucket.policies.push(policy)
      }
    }
  }
  const sliceOf: Slicer['sliceOf'] = ({ principal, action, resource }) => {
    const found: Bucket[] = []
    const principalKeys = scopesOf(principal, entities)
    const resourceKeys = scopesOf(resource, entities)
    for (const actionKey of [ANY, entityKey(action.type, action.id)]) {
      const byResource = index.get(actionKey)
      if (byResource === undefined) continue
      for (const resourceKey of resourceKeys) {
        const byPrincipal = byResource.get(resourceKey)
        if (byPrincipal === undefined) continue
        for (const principalKey of principalKeys) {
          const bucket = byPrincipal.get(principalKey)
          if (bucket !== undefined) found.push(bucket)
        }
      }
    }
    return {
      key: found.map(({ number }) => number).join(' '),
      policies: () => found.flatMap((bucket) => bucket.policies),
    }
  }
  return { add, sliceOf }
}

const nested = <K, V>(map: Map<string, Map<K, V>>, key: string): Map<K, V> => {
  const known = map.get(key)
  if (known !== undefined) return known
  const made = new Map<K, V>()
  map.set(key, made)
  return made
}

const uidOf = (entity: object): string | null =>
  referenceKey(
    '__entity' in entity && typeof entity.__entity === 'object' && entity.__entity !== null
      ? entity.__entity
      : entity,
  )

/** The one key under which a question must look to find the policy; that for all when it is not sure. */
const entityScope = (constraint: PolicyJson['principal'] | PolicyJson['resource']): string => {
  if (constraint.op === '==' && 'entity' in constraint) return exactly('=', constraint.entity)
  if (constraint.op === 'in' && 'entity' in constraint) return exactly('in', constraint.entity)
  if (constraint.op !== 'is') return ANY
  const { in: group, entity_type: type } = constraint
  if (group !== undefined && 'entity' in group) return exactly('in', group.entity)
  return `is ${type}`
}

const exactly = (operator: string, entity: object): string => {
  const uid = uidOf(entity)
  return uid === null ? ANY : `${operator} ${uid}`
}

const actionScopes = (constraint: PolicyJson['action'], groups: ReadonlySet<string>): ReadonlySet<string> => {
  if (constraint.op === 'All') return new Set([ANY])
  const named =
    'entities' in constraint ? constraint.entities : 'entity' in constraint ? [constraint.entity] : null
  if (named === null) return new Set([ANY])
  const keys = new Set<string>()
  for (const entity of named) {
    const uid = uidOf(entity)
    const isGroup = constraint.op === 'in' && groups.has(idOf(entity))
    if (uid === null || isGroup) return new Set([ANY])
    keys.add(uid)
  }
  return keys
}

const idOf = (entity: object): string => {
  const uid: unknown = '__entity' in entity ? entity.__entity : entity
  const id: unknown = typeof uid === 'object' && uid !== null ? Reflect.get(uid, 'id') : undefined
  return typeof id === 'string' ? id : ''
}

/** Every key under which policies about this entity can be. */
const scopesOf = ({ type, id }: ScopeQuestion['principal'], entities: EntityStore): readonly string[] => {
  const own = entityKey(type, id)
  const above = new Set([own])
  // A set's iteration also visits what is added meanwhile.
  for (const key of above) {
    for (const parent of entities.get(key)?.json.parents ?? []) {
      const uid = uidOf(parent)
      if (uid !== null) above.add(uid)
    }
  }
  return [ANY, `is ${type}`, `= ${own}`, ...Array.from(above, (uid) => `in ${uid}`)]
}

/** Ids of what an entity of the entities file is in: when it is an action, these are groups of actions. */
export const groupsOf = ({ json }: StoredEntity): readonly string[] => json.parents.map(idOf)
