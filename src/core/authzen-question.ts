import type { AccessRequest, Action, Resource, Subject } from './access-request.ts'
import type { JsonObject, JsonValue } from './json.ts'
import { parseStrictJson } from './strict-json.ts'

/** One item of a batch: a question, or what is wrong with it. */
export type AuthzenItem = AccessRequest | { readonly mistake: string }

export type AuthzenSemantic = 'execute_all' | 'deny_on_first_deny' | 'permit_on_first_permit'

/** What a policy enforcement point asks by AuthZEN. */
export type AuthzenQuestion =
  | { readonly kind: 'single'; readonly request: AccessRequest }
  | { readonly kind: 'batch'; readonly items: readonly AuthzenItem[]; readonly semantic: AuthzenSemantic }

export interface AuthzenMistake {
  readonly mistake: string
}

const MOST_ITEMS = 100
const SEMANTICS: readonly AuthzenSemantic[] = ['execute_all', 'deny_on_first_deny', 'permit_on_first_permit']

/**
 * Reads the body of an Access Evaluation, or Access Evaluations, request. Unknown fields are ignored.
 *
 * Mistakes are worded for whoever asks, and repeat nothing of what was asked.
 *
 * @param batch whether `evaluations` is looked at; without any, the question is a single one.
 * @see https://openid.net/specs/authorization-api-1_0.html sections 6 and 7
 */
export const readAuthzenQuestion = (bytes: Buffer, batch: boolean): AuthzenQuestion | AuthzenMistake => {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return { mistake: 'the body is not UTF-8' }
  }
  const parsed = parseStrictJson(text)
  if ('problem' in parsed) return { mistake: `the body is not I-JSON: ${parsed.problem}` }
  const body = parsed.value
  if (!isObject(body)) return { mistake: 'the body is not a JSON object' }
  const { evaluations } = body
  if (!batch || evaluations === undefined || (Array.isArray(evaluations) && evaluations.length === 0)) {
    const request = readItem(body)
    return 'mistake' in request ? request : { kind: 'single', request }
  }
  if (!Array.isArray(evaluations)) return { mistake: 'evaluations is not an array' }
  if (evaluations.length > MOST_ITEMS) return { mistake: `evaluations has more than ${MOST_ITEMS} items` }
  const semantic = readSemantic(body.options)
  if (semantic === null) return { mistake: `evaluations_semantic is none of ${SEMANTICS.join(', ')}` }
  const { subject, action, resource, context } = body
  const defaults = withoutUndefined({ subject, action, resource, context })
  const items = evaluations.map((item) =>
    // A key that is there takes the place of the whole default.
    isObject(item) ? readItem({ ...defaults, ...item }) : { mistake: 'the evaluation is not an object' },
  )
  return { kind: 'batch', items, semantic }
}

const readSemantic = (options: JsonValue | undefined): AuthzenSemantic | null => {
  if (options === undefined) return 'execute_all'
  if (!isObject(options)) return null
  const { evaluations_semantic: wanted = 'execute_all' } = options
  return SEMANTICS.find((semantic) => semantic === wanted) ?? null
}

const isObject = (value: JsonValue | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const withoutUndefined = (value: Readonly<Record<string, JsonValue | undefined>>): JsonObject =>
  Object.fromEntries(
    Object.entries(value).flatMap(([key, held]) => (held === undefined ? [] : [[key, held]])),
  )

const readItem = (body: JsonObject): AuthzenItem => {
  const subject = readEntity(body.subject, 'subject')
  if ('mistake' in subject) return subject
  const action = readAction(body.action)
  if ('mistake' in action) return action
  const resource = readEntity(body.resource, 'resource')
  if ('mistake' in resource) return resource
  const { context = {} } = body
  if (!isObject(context)) return { mistake: 'context is not an object' }
  return { subject, action, resource, context }
}

const readEntity = (
  value: JsonValue | undefined,
  name: 'subject' | 'resource',
): Subject | Resource | AuthzenMistake => {
  if (!isObject(value)) return { mistake: `${name} is not an object` }
  const { type, id, properties } = value
  if (!isName(type)) return { mistake: `${name}.type is not a non-empty string` }
  if (!isName(id)) return { mistake: `${name}.id is not a non-empty string` }
  if (properties === undefined) return { type, id }
  return isObject(properties) ? { type, id, properties } : { mistake: `${name}.properties is not an object` }
}

const readAction = (value: JsonValue | undefined): Action | AuthzenMistake => {
  if (!isObject(value)) return { mistake: 'action is not an object' }
  const { name, properties } = value
  if (!isName(name)) return { mistake: 'action.name is not a non-empty string' }
  if (properties === undefined) return { name }
  return isObject(properties) ? { name, properties } : { mistake: 'action.properties is not an object' }
}

const isName = (value: JsonValue | undefined): value is string =>
  typeof value === 'string' && value !== '' && !value.includes('\0')
