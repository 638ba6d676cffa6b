import type { Bound } from '../../core/decision.ts'
import type { JsonValue } from '../../core/json.ts'
import type { MappingPlan, WrittenMapping } from './plan.ts'

/** An expression of a mapping, and what it was for one request. */
export interface EvaluatedExpression {
  /** Where it is written, from the route on, such as `evaluation.resource.id`. */
  readonly at: string
  readonly expression: string
  /** Left out where the field was left out, and where the value holds a secret. */
  readonly value?: JsonValue
  readonly secret?: true
}

/**
 * Every expression of a route with its value, for explanations.
 *
 * @param plan of the route that `bound` was made by.
 */
export const evaluatedExpressions = (plan: MappingPlan, bound: Bound): readonly EvaluatedExpression[] => {
  const { evaluation, evaluations, headers, rewrite } = plan.written
  const [first] = bound.accessRequests
  const asked =
    evaluation !== undefined
      ? pair(evaluation, first, 'evaluation')
      : (evaluations?.evaluations ?? []).flatMap((item, index) => [
          // What stands beside the list is told with the first item that takes it.
          ...pair(inherited(evaluations, item, index), bound.accessRequests[index], 'evaluations'),
          ...pair(item, bound.accessRequests[index], `evaluations.evaluations[${index}]`),
        ])
  const set = Object.entries(headers ?? {}).flatMap(([name, text]) => headerOf(name, text, plan, bound))
  const target = rewrite === undefined ? [] : pair(rewrite, bound.target, 'rewrite')
  return [...asked, ...set, ...target]
}

type Evaluations = NonNullable<WrittenMapping['evaluations']>

const ENTITIES = ['subject', 'action', 'resource', 'context'] as const

const inherited = (
  evaluations: Evaluations | undefined,
  item: Evaluations['evaluations'][number],
  index: number,
): object => {
  const earlier = evaluations?.evaluations.slice(0, index) ?? []
  const keys = ENTITIES.filter(
    (key) => item[key] === undefined && !earlier.some((other) => other[key] === undefined),
  )
  return Object.fromEntries(keys.map((key) => [key, evaluations?.[key]]))
}

/** Walks what is written and what was made of it side by side. */
const pair = (written: unknown, made: unknown, at: string): readonly EvaluatedExpression[] => {
  if (typeof written === 'string') {
    if (!written.startsWith('$') || written.startsWith('$$')) return []
    // The short form of an action.
    const value = at.endsWith('.action') && isObject(made) ? made.name : made
    return [{ at, expression: written, ...(value === undefined ? {} : { value: value as JsonValue }) }]
  }
  if (Array.isArray(written)) {
    return written.flatMap((item, index) =>
      pair(item, Array.isArray(made) ? made[index] : undefined, `${at}[${index}]`),
    )
  }
  if (!isObject(written)) return []
  return Object.entries(written).flatMap(([key, value]) =>
    pair(value, isObject(made) && Object.hasOwn(made, key) ? made[key] : undefined, `${at}.${key}`),
  )
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const headerOf = (
  name: string,
  text: string,
  { headers }: MappingPlan,
  bound: Bound,
): readonly EvaluatedExpression[] => {
  if (!text.startsWith('$') || text.startsWith('$$')) return []
  const at = `headers.${name}`
  const reads = headers.find((header) => header.name === name)?.reads ?? []
  if (reads.some(({ root }) => root === 'secrets')) return [{ at, expression: text, secret: true }]
  const index = bound.headers.indexOf(name)
  const value = index === -1 ? undefined : bound.headers[index + 1]
  return [{ at, expression: text, ...(value === undefined ? {} : { value }) }]
}
