import type { PolicyJson, Schema } from '@cedar-policy/cedar-wasm/nodejs'
import { schemaToJson } from '@cedar-policy/cedar-wasm/nodejs'

/** Entity types whose ids a schema lists: of them alone an id decides whether a policy is valid. */
export const enumeratedTypes = (schema: Schema): ReadonlySet<string> => {
  const answer = schemaToJson(schema)
  if (answer.type === 'failure') throw new Error('a schema that was checked has no JSON form')
  const types = new Set<string>()
  for (const [namespace, { entityTypes }] of Object.entries(answer.json)) {
    for (const [name, type] of Object.entries(entityTypes)) {
      if ('enum' in type) types.add(namespace === '' ? name : `${namespace}::${name}`)
    }
  }
  return types
}

// Below anything else, such as a call of `ip`, a text may decide about more than equality.
const TRANSPARENT: ReadonlySet<string> = new Set([
  ...['!', 'neg', '==', '!=', 'in', '<', '<=', '>', '>=', '&&', '||', '+', '-', '*'],
  ...['contains', 'containsAll', 'containsAny', 'isEmpty', 'getTag', 'hasTag', '.', 'has', 'like', 'is'],
  ...['if-then-else', 'Set', 'Record', 'Value'],
])

/**
 * What a policy says but for its annotations, and with ids and texts replaced by which of them are the same.
 *
 * For which kinds of requests a policy can hold depends on nothing else: policies of one shape need one answer.
 */
export const shapeOf = (policy: PolicyJson, enumerated: ReadonlySet<string>): string => {
  const names = new Map<string, number>()
  const nameOf = (kind: string, text: string): string => {
    const key = `${kind} ${text}`
    const known = names.get(key) ?? names.size
    names.set(key, known)
    return `${kind} ${known}`
  }
  const entity = (value: object): unknown => {
    const uid: unknown = Reflect.get(value, '__entity') ?? value
    if (typeof uid !== 'object' || uid === null) return value
    const type: unknown = Reflect.get(uid, 'type')
    const id: unknown = Reflect.get(uid, 'id')
    const isKept = typeof type !== 'string' || enumerated.has(type) || /(^|::)Action$/.test(type)
    return isKept || typeof id !== 'string' ? value : { entity: type, id: nameOf(`id of ${type}`, id) }
  }
  const literal = (value: unknown): unknown => {
    if (typeof value === 'string') return { text: nameOf('text', value) }
    return typeof value === 'object' && value !== null && '__entity' in value ? entity(value) : value
  }
  const scope = (constraint: object): unknown =>
    Object.fromEntries(
      Object.entries(constraint).map(([key, value]) => {
        if (key === 'entity') return [key, entity(value)]
        return [key, key === 'in' ? scope(value) : value]
      }),
    )
  const expression = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value
    if (Array.isArray(value)) return value.map(expression)
    const entries = Object.entries(value).map(([key, inner]) => {
      return [key, key === 'Value' ? literal(inner) : operands(key, inner)]
    })
    return Object.fromEntries(entries)
  }
  const operands = (operator: string, value: unknown): unknown => {
    if (!TRANSPARENT.has(operator) || typeof value !== 'object' || value === null) return value
    if (Array.isArray(value)) return value.map(expression)
    return Object.fromEntries(Object.entries(value).map(([side, inner]) => [side, expression(inner)]))
  }
  const { effect, principal, action, resource, conditions } = policy
  return JSON.stringify([
    ...[effect, scope(principal), action, scope(resource)],
    conditions.map(({ kind, body }) => [kind, expression(body)]),
  ])
}
