import type { AccessRequest } from '../../core/access-request.ts'
import type { Clock } from '../../core/clock.ts'
import type { Bound } from '../../core/decision.ts'
import type { Identity } from '../../core/identity.ts'
import type { JsonValue } from '../../core/json.ts'
import { isRefusal, type Refusal, refuse } from '../../core/refusals.ts'
import type { Accepted, CanonicalRequest } from '../../core/request.ts'
import type { Stages } from '../pipeline.ts'
import { readPairs } from './pairs.ts'
import { parseBody } from './parse-body.ts'
import type { MappingPlan } from './plan.ts'
import { missingPart, readValue } from './reads.ts'
import { createRepeated } from './repeated.ts'
import { readHeaders } from './request-fields.ts'
import type { Scope } from './scope.ts'

/** True when the mapping cannot be evaluated without the request's body. */
export const needsBody = (plan: MappingPlan): boolean => plan.needsBody

/**
 * Makes the stage that turns a request into access requests, and into what is forwarded if they are allowed.
 *
 * What the mapping reads must be there and unambiguous: else `bad_request`, or `denied` when it is a claim
 * or another part of the identity that is missing.
 *
 * @param plans by `route.index`.
 */
export const createBind = (deps: {
  readonly plans: readonly MappingPlan[]
  readonly clock: Clock
}): Stages['bind'] => {
  const { plans, clock } = deps
  const repeated = createRepeated()

  const bindAnew = (
    plan: MappingPlan,
    accepted: Accepted,
    identity: Identity | null,
    body: Buffer | null,
  ): Bound | Refusal => {
    const fields = readFields(plan, accepted, body)
    if ('problem' in fields) {
      return { ...notMappable(fields.problem), read: { mapping: plan.mappingHash } }
    }
    const scope = createScope(plan, accepted, identity, fields, clock)
    const bound = bindScope(plan, scope, accepted.request, body)
    if (isRefusal(bound)) return { ...bound, read: { mapping: plan.mappingHash, ...readInputs(plan, scope) } }
    return { ...bound, ...readInputs(plan, scope) }
  }

  return (accepted, identity, body) => {
    const plan = plans[accepted.route.index]
    if (plan === undefined) throw new Error(`route ${accepted.route.index} has no mapping`)
    if (!plan.isRepeatable || identity === null || body !== null) {
      return bindAnew(plan, accepted, identity, body)
    }
    const known = repeated.get(accepted, identity)
    if (known) return known
    const bound = bindAnew(plan, accepted, identity, body)
    if (isRefusal(bound)) return bound
    if (known === null) return repeated.keep(accepted, identity, bound)
    repeated.note(accepted, identity)
    return bound
  }
}

/** What one mapping makes of what it can see; `inputs` are the caller's to add. */
export const bindScope = (
  plan: MappingPlan,
  scope: Scope,
  request: CanonicalRequest,
  body: Buffer | null,
): Bound | Refusal => {
  const accessRequests: AccessRequest[] = []
  for (const question of plan.questions) {
    const accessRequest = question.render(scope)
    if (accessRequest !== undefined) accessRequests.push(accessRequest)
  }
  const headers = renderHeaders(plan, scope)
  const target = plan.rewrite === null ? request.target : plan.rewrite.render(scope, request)
  if (scope.failure !== null) return scope.failure
  if (target === undefined || accessRequests.length !== plan.questions.length) {
    throw new Error('a part of the mapping is missing, and nothing says why')
  }
  const { batch, cacheable } = plan
  return {
    accessRequests,
    batch,
    cacheable,
    target,
    headers,
    inputs: {},
    body,
  }
}

/**
 * Makes what is forwarded of an observed request that could not be mapped: it asks nothing.
 *
 * Headers that cannot be made, such as one of a subject that nobody verified, are left out; a rewrite that cannot be
 * made is a refusal, since there is nowhere to forward to.
 *
 * @param plans by `route.index`.
 */
export const createBindObserved = (deps: {
  readonly plans: readonly MappingPlan[]
  readonly clock: Clock
}): Stages['bindObserved'] => {
  const { plans, clock } = deps
  return (accepted, identity, body) => {
    const plan = plans[accepted.route.index]
    if (plan === undefined) throw new Error(`route ${accepted.route.index} has no mapping`)
    const fields = readFields(plan, accepted, body)
    if ('problem' in fields) return notMappable(fields.problem)
    const headers: string[] = []
    for (const header of plan.headers) {
      const scope = createScope(plan, accepted, identity, fields, clock)
      const value = header.render(scope)
      if (value !== undefined && scope.failure === null) headers.push(header.name, value)
    }
    const scope = createScope(plan, accepted, identity, fields, clock)
    const { request } = accepted
    const target = plan.rewrite === null ? request.target : plan.rewrite.render(scope, request)
    if (scope.failure !== null) return scope.failure
    if (target === undefined) throw new Error('a rewrite is missing, and nothing says why')
    return { accessRequests: [], batch: false, cacheable: false, target, headers, inputs: {}, body }
  }
}

type Fields = Pick<Scope, 'headers' | 'query' | 'body'>

const NOTHING: ReadonlyMap<string, string> = new Map()

const readFields = (
  plan: MappingPlan,
  accepted: Accepted,
  body: Buffer | null,
): Fields | { readonly problem: string } => {
  const { request } = accepted
  const { wanted } = plan
  let headers = NOTHING
  if (wanted.headers.size > 0) {
    const read = readHeaders(request, wanted.headers)
    if ('problem' in read) return read
    headers = read.values
  }
  let query = NOTHING
  if (wanted.query === 'all' || wanted.query.size > 0) {
    const read = readPairs(request.query.slice(1), wanted.query)
    if ('problem' in read) return { problem: `the query has ${read.problem}` }
    query = read.values
  }
  if (wanted.body === null) return { headers, query, body: null }
  const parsed = parseBody(request.headers, body ?? Buffer.alloc(0), wanted.body)
  return 'problem' in parsed ? parsed : { headers, query, body: parsed.body }
}

const notMappable = (problem: string): Refusal =>
  refuse('bind', 'bad_request', problem, {
    publicDetail: `${problem.charAt(0).toUpperCase()}${problem.slice(1)}.`,
  })

const createScope = (
  plan: MappingPlan,
  accepted: Accepted,
  identity: Identity | null,
  fields: Fields,
  clock: Clock,
): Scope => {
  const issuedAt = identity?.credential.issuedAt
  // A clock that is behind the issuer's makes no age negative.
  const ageMs = issuedAt === undefined ? undefined : Math.max(0, clock.nowMs() - issuedAt * 1000)
  return {
    stage: 'bind',
    accepted,
    identity,
    path: accepted.path,
    headers: fields.headers,
    query: fields.query,
    body: fields.body,
    timeMs: floorTo(accepted.request.receivedAtMs, plan.quantiseMs),
    ageSeconds: ageMs === undefined ? undefined : Math.floor(floorTo(ageMs, plan.quantiseMs) / 1000),
    secrets: plan.secrets,
    failure: null,
    celContext: null,
    encodedContext: null,
  }
}

export const floorTo = (value: number, stepMs: number | null): number =>
  stepMs === null || stepMs <= 0 ? value : Math.floor(value / stepMs) * stepMs

const renderHeaders = (plan: MappingPlan, scope: Scope): readonly string[] => {
  const pairs: string[] = []
  for (const header of plan.headers) {
    const value = header.render(scope)
    if (value !== undefined) pairs.push(header.name, value)
  }
  return pairs
}

const readInputs = (plan: MappingPlan, scope: Scope): Pick<Bound, 'inputs' | 'absent'> => {
  const inputs: Record<string, JsonValue> = {}
  const absent: string[] = []
  for (const read of plan.inputs) {
    const value = readValue(scope, read)
    if (value !== undefined) {
      inputs[read.label] = value
      continue
    }
    const missing = missingPart(scope, read)
    if (missing !== null && !absent.includes(missing)) absent.push(missing)
  }
  return absent.length === 0 ? { inputs } : { inputs, absent }
}
