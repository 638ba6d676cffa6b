import {
  type EntityUidJson,
  getValidRequestEnvsPolicy,
  type PolicyJson,
  type Schema,
  type SchemaJson,
  schemaToJson,
} from '@cedar-policy/cedar-wasm/nodejs'
import { didYouMean } from '../../../core/nearest.ts'
import type { ReviewedQuestion, ReviewNote } from '../../../core/question-outline.ts'
import { findingAt } from './cedar-findings.ts'
import type { CedarPolicy } from './cedar-policies.ts'
import { namespacedActions } from './cedar-schema.ts'
import { enumeratedTypes, shapeOf } from './cedar-shape.ts'

/** What a policy is for; null: anything, or more than its head tells. */
interface Reach {
  readonly policy: CedarPolicy
  /** `Action::"read"`. */
  readonly actions: ReadonlySet<string> | null
  readonly resources: ReadonlySet<string> | null
  readonly principals: ReadonlySet<string> | null
}

/**
 * Holds policies and schema against the questions that routes ask.
 *
 * Finds what the schema lacks of them (`unknown-action`, `unknown-resource-type`, `unknown-attribute`), policies that
 * none of them reaches (`unreachable-policy`), and those that no policy can allow (`never-allowed`). With a schema
 * Cedar itself says for which requests a policy can hold; without one, the heads of the policies do.
 *
 * Does not find: policies whose conditions never hold.
 */
export const reviewCedar = (
  engine: string,
  policies: readonly CedarPolicy[],
  schema: Schema | null,
  questions: readonly ReviewedQuestion[],
): readonly ReviewNote[] => {
  const known = schema === null ? null : declarationsOf(schema)
  const uids = new Map<string, string>()
  // Each policy is held against each question.
  const uidOf = (name: string): string => {
    const uid = uids.get(name) ?? `${known?.namespaces.get(name) ?? 'Action'}::${JSON.stringify(name)}`
    uids.set(name, uid)
    return uid
  }
  const reachOf = createReachOf(schema)
  const reaches = policies.map((policy) => ({ policy, ...reachOf(policy) }))
  const unknown = known === null ? [] : questions.flatMap((question) => unknownIn(question, known))
  const wrong = new Set(unknown.map(({ about }) => about))
  return [
    ...unknown,
    ...questions
      .filter((question) => !wrong.has(question))
      .flatMap((question) => neverAllowed(question, reaches, uidOf)),
    ...unreachable(engine, reaches, differentOf(questions), uidOf),
  ]
}

interface Declarations {
  readonly namespaces: ReadonlyMap<string, string>
  readonly actions: ReadonlyMap<string, ReadonlySet<string> | null>
  readonly types: ReadonlyMap<string, ReadonlySet<string> | null>
}

type Attributes = ReadonlySet<string> | null

const declarationsOf = (schema: Schema): Declarations => {
  const answer = schemaToJson(schema)
  if (answer.type === 'failure') throw new Error('a schema that was checked has no JSON form')
  const actions = new Map<string, Attributes>()
  const types = new Map<string, Attributes>()
  for (const [namespace, { actions: declared, entityTypes }] of Object.entries(answer.json)) {
    for (const [name, { appliesTo }] of Object.entries(declared)) {
      // A name in several namespaces is that of several actions: nothing is said of what they take.
      const context = appliesTo?.context
      actions.set(
        name,
        actions.has(name) || context === undefined ? keysIfNone(context) : attributesOf(context),
      )
    }
    for (const [name, entity] of Object.entries(entityTypes)) {
      const shape = 'shape' in entity ? entity.shape : undefined
      types.set(namespace === '' ? name : `${namespace}::${name}`, attributesOf(shape))
    }
  }
  return { namespaces: namespacedActions(schema), actions, types }
}

const keysIfNone = (context: unknown): Attributes => (context === undefined ? new Set() : null)

type Shape = NonNullable<NonNullable<SchemaJson<string>[string]['actions'][string]['appliesTo']>['context']>

/** Null for a record whose attributes are elsewhere, such as a common type. */
const attributesOf = (shape: Shape | undefined): Attributes => {
  if (shape === undefined) return new Set()
  if (!('attributes' in shape) || shape.attributes === undefined) return null
  return new Set(Object.keys(shape.attributes))
}

const unknownIn = (question: ReviewedQuestion, known: Declarations): readonly ReviewNote[] => {
  const { action, resourceType, contextKeys, resourceKeys } = question
  const notes: ReviewNote[] = []
  const say = (rule: string, message: string): void => {
    notes.push({ rule, message, about: question })
  }
  if (action !== null && !known.actions.has(action)) {
    const names = new Set(known.actions.keys())
    say('unknown-action', `the schema has no action ${JSON.stringify(action)}${didYouMean(action, names)}`)
  }
  if (resourceType !== null && !known.types.has(resourceType)) {
    const names = new Set(known.types.keys())
    say(
      'unknown-resource-type',
      `the schema has no entity type ${JSON.stringify(resourceType)}${didYouMean(resourceType, names)}`,
    )
  }
  const inContext = action === null ? null : (known.actions.get(action) ?? null)
  const inResource = resourceType === null ? null : (known.types.get(resourceType) ?? null)
  for (const key of contextKeys) {
    if (inContext !== null && !inContext.has(key))
      say(
        'unknown-attribute',
        `the schema has no ${key} in the context of ${action}${didYouMean(key, inContext)}`,
      )
  }
  for (const key of resourceKeys) {
    if (inResource !== null && !inResource.has(key))
      say('unknown-attribute', `the schema has no ${key} in ${resourceType}${didYouMean(key, inResource)}`)
  }
  return notes
}

type Kinds = Omit<Reach, 'policy'>

// Cedar reads the schema anew for each policy that it is asked about.
const createReachOf = (schema: Schema | null): ((policy: CedarPolicy) => Kinds) => {
  if (schema === null) return kindsOf
  const enumerated = enumeratedTypes(schema)
  const byShape = new Map<string, Kinds | null>()
  const askCedar = ({ text, json, template }: CedarPolicy): Kinds | null => {
    const envs = getValidRequestEnvsPolicy(template === null ? text : json, schema)
    if (envs.type === 'failure') return null
    const { actions, resources, principals } = envs
    return { actions: new Set(actions), resources: new Set(resources), principals: new Set(principals) }
  }
  return (policy) => {
    const shape = shapeOf(policy.json, enumerated)
    const known = byShape.get(shape)
    const kinds = known === undefined ? askCedar(policy) : known
    byShape.set(shape, kinds)
    return kinds ?? kindsOf(policy)
  }
}

/** As far as its head tells. */
const kindsOf = ({ json: { action, resource, principal } }: CedarPolicy): Kinds => ({
  actions: actionsOf(action),
  resources: typesOf(resource),
  principals: typesOf(principal),
})

/** Of `==` alone: what is in a group only a schema can tell. */
const actionsOf = (action: PolicyJson['action']): ReadonlySet<string> | null =>
  action.op === '==' && 'entity' in action ? new Set([uidText(action.entity)]) : null

const uidText = (uid: EntityUidJson): string => {
  const { type, id } = '__entity' in uid ? uid.__entity : uid
  return `${type}::${JSON.stringify(id)}`
}

const typesOf = (head: PolicyJson['principal'] | PolicyJson['resource']): ReadonlySet<string> | null => {
  if (head.op === 'is') return new Set([head.entity_type])
  if (head.op !== '==' || !('entity' in head)) return null
  const { entity } = head
  return new Set(['__entity' in entity ? entity.__entity.type : entity.type])
}

const fits = (
  { actions, resources, principals }: Reach,
  { action, resourceType, subjectTypes }: ReviewedQuestion,
  uidOf: (name: string) => string,
): boolean =>
  (action === null || actions === null || actions.has(uidOf(action))) &&
  (resourceType === null || resources === null || resources.has(resourceType)) &&
  (subjectTypes === null || principals === null || subjectTypes.some((type) => principals.has(type)))

const neverAllowed = (
  question: ReviewedQuestion,
  reaches: readonly Reach[],
  uidOf: (name: string) => string,
): readonly ReviewNote[] => {
  if (reaches.some((reach) => reach.policy.effect === 'permit' && fits(reach, question, uidOf))) return []
  const { action, resourceType, subjectTypes } = question
  const who = subjectTypes === null ? 'anybody' : subjectTypes.join(' or ')
  const message = `no policy can allow ${who} to ${action ?? 'do anything'} on ${resourceType ?? 'anything'}: every request is denied`
  return [{ rule: 'never-allowed', message, about: question }]
}

/** One question of those that the same policies are for. */
const differentOf = (questions: readonly ReviewedQuestion[]): readonly ReviewedQuestion[] => [
  ...new Map(
    questions.map((question) => {
      const { action, resourceType, subjectTypes } = question
      return [JSON.stringify([action, resourceType, subjectTypes]), question]
    }),
  ).values(),
]

const unreachable = (
  engine: string,
  reaches: readonly Reach[],
  questions: readonly ReviewedQuestion[],
  uidOf: (name: string) => string,
): readonly ReviewNote[] =>
  reaches
    .filter((reach) => !questions.some((question) => fits(reach, question, uidOf)))
    .map(({ policy }) => {
      const { file, line, column } = findingAt(policy.piece, policy.piece.start, PLACE, '')
      const message = `no route asks the engine ${engine} what the policy ${JSON.stringify(policy.id)} decides`
      return { rule: 'unreachable-policy', message, about: { file, line, column } }
    })

const PLACE = { rule: '', severity: 'warning' } as const
