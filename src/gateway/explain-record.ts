import type { AccessRequest } from '../core/access-request.ts'
import type { JsonObject, JsonValue } from '../core/json.ts'
import { REFUSALS, type RefusalCode } from '../core/refusals.ts'
import type { ExplainTools, Explanation } from './explain.ts'

/** The explanation of a decision of the past: what its record kept, and what can be said of that now. */
export interface PastExplanation
  extends Omit<Explanation, 'credential' | 'subject' | 'accessRequest' | 'evaluations'> {
  readonly subject: JsonValue
  readonly credential: JsonValue
  readonly accessRequest: JsonValue
  readonly evaluations?: JsonValue
  readonly recorded: {
    readonly id: string
    readonly time: string
    readonly configVersion: string
    /** True when the configuration that decided is the one that explains. */
    readonly isCurrentConfig: boolean
    /** True when the policies that decided are those whose text is told; else none is told. */
    readonly isCurrentPolicy: boolean
    /** The key of the grant that was made or used. */
    readonly grant: string | null
  }
}

export interface PastTools extends Pick<ExplainTools, 'consider' | 'policies' | 'near'> {
  readonly configVersion: string
  /** Null: there is no such engine any more. */
  readonly policyVersion: (engine: string) => string | null
}

/**
 * Explains a recorded decision.
 *
 * Policies are told only when they are still those that decided. The routes that were considered are those of now, by
 * method, host and path: query and header fields are not recorded.
 *
 * @param record a line of the decision log, redacted as its reader may see it.
 */
export const explainRecord = (record: JsonObject, tools: PastTools): PastExplanation => {
  const text = (key: string): string | null => (typeof record[key] === 'string' ? record[key] : null)
  const engine = text('engine')
  const policyVersion = text('policyVersion')
  const isCurrentPolicy =
    engine !== null && policyVersion !== null && tools.policyVersion(engine) === policyVersion
  const reasons = textsOf(record.reasons)
  const decision = record.decision === 'allow' ? 'allow' : 'deny'
  const code = codeOf(text('code'))
  const request = requestOf(record.request)
  const asked = accessRequestOf(record)
  const isDefaultDeny = decision === 'deny' && code === 'denied' && reasons.length === 0
  const grant = isObject(record.grant) && typeof record.grant.id === 'string' ? record.grant.id : null
  return {
    decision,
    code,
    status: code === 'allowed' ? null : REFUSALS[code].status,
    source: text('source') ?? '',
    detail: text('detail'),
    request,
    // What was left out was not recorded.
    leftOut: [],
    route: text('route'),
    owner: text('owner'),
    subject: record.subject ?? null,
    credential: record.credential ?? null,
    accessRequest: asked,
    inputs: isObject(record.inputs) ? record.inputs : null,
    engine,
    policyVersion,
    reasons,
    errors: textsOf(record.errors),
    ...(record.evaluations === undefined ? {} : { evaluations: record.evaluations }),
    upstream: null,
    considered: tools
      .consider({ ...request, authority: request.host, scheme: 'https', query: '', headers: [], names: [] })
      .map(({ route: { name, owner }, why }) => ({ route: name, owner, why })),
    expressions: [],
    grant: null,
    policies: isCurrentPolicy ? tools.policies(engine, reasons) : [],
    near: isCurrentPolicy && isDefaultDeny && isAccessRequest(asked) ? tools.near(engine, asked) : [],
    caller:
      code === 'allowed'
        ? { status: null, code, title: null, detail: null }
        : { status: REFUSALS[code].status, code, title: REFUSALS[code].title, detail: null },
    recorded: {
      id: text('id') ?? '',
      time: text('time') ?? '',
      configVersion: text('configVersion') ?? '',
      isCurrentConfig: record.configVersion === tools.configVersion,
      isCurrentPolicy,
      grant,
    },
  }
}

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const textsOf = (value: JsonValue | undefined): readonly string[] =>
  Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []

const codeOf = (code: string | null): 'allowed' | RefusalCode => {
  if (code === 'allowed') return code
  // A record of another version may know others.
  return code !== null && Object.hasOwn(REFUSALS, code) ? (code as RefusalCode) : 'internal'
}

const requestOf = (value: JsonValue | undefined): Explanation['request'] => {
  const of = (key: string): string => {
    const held = isObject(value) ? value[key] : undefined
    return typeof held === 'string' ? held : ''
  }
  return { method: of('method'), host: of('host'), path: of('path'), ip: of('ip') }
}

const accessRequestOf = (record: JsonObject): JsonObject | null => {
  const { subject, action, resource, context, evaluations } = record
  if (subject === undefined) return null
  if (Array.isArray(evaluations)) return { subject, evaluations }
  if (action === undefined || resource === undefined) return null
  return { subject, action, resource, context: context ?? {} }
}

const isAccessRequest = (asked: JsonObject | null): asked is JsonObject & AccessRequest =>
  asked !== null && isObject(asked.subject) && isObject(asked.action) && isObject(asked.resource)
