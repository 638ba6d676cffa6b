import type { JsonObject, JsonValue } from '../../../core/json.ts'
import { isJsonObject, readAnswerContext } from './answer-context.ts'
import { oneLine } from './cedar-findings.ts'
import type { EngineAnswer } from './engine.ts'

const UNDEFINED: EngineAnswer = {
  decision: 'deny',
  reasons: [],
  errors: [],
  adminReason: 'the policy is undefined for this request',
}

/** Of a policy that failed at what was asked: a deny that is not kept. */
export const failedAnswer = (errors: readonly string[]): EngineAnswer => ({
  decision: 'deny',
  reasons: [],
  errors: errors.map(oneLine),
  cacheable: false,
})

/**
 * What the result of a Rego query decides: a boolean, or an object with the boolean `decision` (or `allowed`, as
 * OPA-Envoy has it) and perhaps `reasons`, `ttl` and `context`.
 *
 * @param result left out: the query is undefined, which denies.
 * @returns what is wrong with a result of any other form.
 */
export const readRegoResult = (
  result: JsonValue | undefined,
): { readonly answer: EngineAnswer } | { readonly problem: string } => {
  if (result === undefined) return { answer: UNDEFINED }
  if (typeof result === 'boolean') {
    return { answer: { decision: result ? 'allow' : 'deny', reasons: [], errors: [] } }
  }
  if (!isJsonObject(result)) return { problem: `${nameOf(result)} as a result` }
  const verdict = result.decision ?? result.allowed
  if (typeof verdict !== 'boolean') return { problem: 'a result without a boolean decision' }
  const reasons = reasonsOf(result.reasons)
  if (reasons === null) return { problem: 'a result whose reasons are no list of strings' }
  const ttlMs = ttlOf(result.ttl)
  if (ttlMs === null) return { problem: 'a result whose ttl is no number of seconds and no duration' }
  const { obligations, ...said } = readAnswerContext(result.context)
  const wanted = [
    ...obligations,
    ...readAnswerContext({ obligations: result.obligations ?? null }).obligations,
  ]
  return {
    answer: {
      decision: verdict ? 'allow' : 'deny',
      reasons,
      errors: [],
      ...said,
      ...(ttlMs === undefined ? {} : { ttlMs }),
      ...(verdict ? { obligations: [...wanted, ...envoyEffects(result)] } : {}),
    },
  }
}

const nameOf = (value: JsonValue): string =>
  value === null ? 'null' : Array.isArray(value) ? 'a list' : `a ${typeof value}`

const reasonsOf = (value: JsonValue | undefined): readonly string[] | null => {
  if (value === undefined || value === null) return []
  if (typeof value === 'string') return [value]
  if (!Array.isArray(value)) return null
  return value.every((reason) => typeof reason === 'string') ? value : null
}

const DURATION = /^(\d{1,9})(ms|s|m|h)$/
const UNITS_MS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
])

/** Undefined: as long as the route says; null: not readable. A number is of seconds. */
const ttlOf = (value: JsonValue | undefined): number | null | undefined => {
  if (value === undefined || value === null) return undefined
  if (typeof value === 'number') return value >= 0 ? value * 1000 : null
  if (typeof value !== 'string') return null
  const [, amount, unit] = DURATION.exec(value) ?? []
  return amount === undefined ? null : Number(amount) * (UNITS_MS.get(unit ?? '') ?? 0)
}

/** What OPA-Envoy would change of a request that it allows. */
const ENVOY_EFFECTS = [
  'headers',
  'request_headers_to_remove',
  'response_headers_to_add',
  'query_parameters_to_set',
  'query_parameters_to_remove',
] as const

/** An allow that wants the request changed first is none if it goes on unchanged. */
const envoyEffects = (result: JsonObject): readonly JsonObject[] =>
  ENVOY_EFFECTS.filter((key) => isWanted(result[key])).map((key) => ({ type: `envoy:${key}` }))

const isWanted = (value: JsonValue | undefined): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).length > 0
