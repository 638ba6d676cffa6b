import type { AccessRequest, Subject } from '../core/access-request.ts'
import type { Bound, Decision, EvaluationResult } from '../core/decision.ts'
import type { Exchange } from '../core/exchange.ts'
import type { Credential, Identity } from '../core/identity.ts'
import type { JsonObject } from '../core/json.ts'
import { isRefusal, REFUSALS, type Refusal, type RefusalCode } from '../core/refusals.ts'
import type { Accepted, CanonicalRequest, RequestFacts } from '../core/request.ts'
import type { Route } from '../core/route.ts'
import type { Stages } from './pipeline.ts'

/** Several questions of one request, as AuthZEN's Access Evaluations API writes them. */
export interface AccessRequests {
  readonly subject: Subject
  readonly evaluations: readonly Omit<AccessRequest, 'subject'>[]
}

/** The whole way of a request that was not forwarded; parts that were not reached are null. */
export interface Explanation {
  readonly decision: 'allow' | 'deny'
  readonly code: 'allowed' | RefusalCode
  readonly status: number | null
  readonly source: string
  readonly detail: string | null
  readonly request: {
    readonly method: string
    readonly host: string
    readonly path: string
    readonly ip: string
  }
  readonly route: string | null
  readonly owner: string | null
  readonly subject: Subject | null
  readonly credential: Omit<Credential, 'digest'> | null
  readonly accessRequest: AccessRequest | AccessRequests | null
  readonly inputs: JsonObject | null
  readonly engine: string | null
  readonly policyVersion: string | null
  readonly reasons: readonly string[]
  readonly errors: readonly string[]
  readonly evaluations?: readonly EvaluationResult[]
  readonly upstream: { readonly name: string; readonly target: string } | null
}

export type Identify = (
  request: CanonicalRequest,
  route: Route,
  signal: () => AbortSignal,
) => Identity | Refusal | Promise<Identity | Refusal>

/**
 * Takes a request the whole way by the stages that serve, except that it is neither recorded nor forwarded.
 *
 * @param identify stands in for the authenticators, when claims are given instead of a credential.
 */
export const explain = async (
  stages: Stages,
  exchange: Exchange,
  identify: Identify = stages.authenticate,
): Promise<Explanation> => {
  const accepted = stages.accept(exchange.head)
  if (isRefusal(accepted)) return tell({ request: accepted.request, outcome: accepted })
  const { request, route } = accepted
  const identity = route.access === 'public' ? null : await identify(request, route, exchange.signal)
  if (identity !== null && isRefusal(identity)) return tell({ request, route, outcome: identity })
  const body = stages.needsBody(route) ? await stages.readBody(exchange) : null
  if (body !== null && !Buffer.isBuffer(body)) return tell({ request, route, identity, outcome: body })
  return explainBound(stages, exchange, accepted, identity, body)
}

const explainBound = async (
  stages: Stages,
  exchange: Exchange,
  accepted: Accepted,
  identity: Identity | null,
  body: Buffer | null,
): Promise<Explanation> => {
  const { request, route } = accepted
  const bound = stages.bind(accepted, identity, body)
  if (isRefusal(bound)) return tell({ request, route, identity, outcome: bound })
  const outcome = await stages.decide({ route, identity, bound, request, signal: exchange.signal })
  return tell({ request, route, identity, bound, outcome })
}

const tell = (known: {
  readonly request: RequestFacts
  readonly route?: Route
  readonly identity?: Identity | null
  readonly bound?: Bound
  readonly outcome: Decision | Refusal
}): Explanation => {
  const { request, outcome } = known
  const route = known.route ?? null
  const identity = known.identity ?? null
  const decision = isRefusal(outcome) ? null : outcome
  const code = codeOf(outcome)
  return {
    decision: code === 'allowed' ? 'allow' : 'deny',
    code,
    status: code === 'allowed' ? null : REFUSALS[code].status,
    source: isRefusal(outcome) ? outcome.stage : outcome.source,
    detail: isRefusal(outcome) ? outcome.detail : null,
    request: { method: request.method, host: request.host, path: request.path, ip: request.ip },
    route: route?.name ?? null,
    owner: route?.owner ?? null,
    subject: identity?.subject ?? null,
    credential: identity === null ? null : withoutDigest(identity.credential),
    accessRequest: known.bound === undefined ? null : questionOf(known.bound),
    inputs: known.bound?.inputs ?? null,
    engine: route === null || route.engine === '' ? null : route.engine,
    policyVersion: decision?.policyVersion ?? null,
    reasons: decision?.reasons ?? [],
    errors: decision?.errors ?? [],
    ...(decision?.evaluations === undefined ? {} : { evaluations: decision.evaluations }),
    upstream:
      route === null || known.bound === undefined
        ? null
        : { name: route.upstream, target: known.bound.target },
  }
}

const codeOf = (outcome: Decision | Refusal): 'allowed' | RefusalCode => {
  if (isRefusal(outcome)) return outcome.refusal
  return outcome.decision === 'allow' ? 'allowed' : 'denied'
}

const withoutDigest = ({ digest: _digest, ...shown }: Credential): Omit<Credential, 'digest'> => shown

const questionOf = (bound: Bound): AccessRequest | AccessRequests | null => {
  const [first] = bound.accessRequests
  if (first === undefined) return null
  if (!bound.batch) return first
  return {
    subject: first.subject,
    evaluations: bound.accessRequests.map(({ action, resource, context }) => ({ action, resource, context })),
  }
}
