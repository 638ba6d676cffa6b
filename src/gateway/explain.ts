import type { AccessRequest, Subject } from '../core/access-request.ts'
import type { Bound, Decision, EvaluationResult } from '../core/decision.ts'
import type { Exchange } from '../core/exchange.ts'
import { headerValues } from '../core/headers.ts'
import type { Credential, Identity } from '../core/identity.ts'
import type { JsonObject, JsonValue } from '../core/json.ts'
import type { NearPolicy, PolicySource } from '../core/policy-source.ts'
import { isRefusal, REFUSALS, type Refusal, type RefusalCode } from '../core/refusals.ts'
import type { CanonicalRequest, RequestFacts } from '../core/request.ts'
import type { Route } from '../core/route.ts'
import type { Question, Stages } from './pipeline.ts'

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
  /** What the request says of its caller's device, and its peer is not believed; see `trustedProxies`. */
  readonly leftOut: readonly LeftOutHeader[]
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
  /** Every route whose host and path the request fits, the chosen one first, and why not the others. */
  readonly considered: readonly ConsideredRoute[]
  /** Each expression of the mapping with its value; empty where the mapping was not reached. */
  readonly expressions: readonly EvaluatedExpression[]
  /** What the answer is kept by; null where nothing was asked. */
  readonly grant: GrantExplanation | null
  /** The determining policies as they are written, where the engine has them. */
  readonly policies: readonly PolicySource[]
  /** What would have allowed it, had its conditions held; only after a deny that no policy demanded. */
  readonly near: readonly NearPolicy[]
  /** What the caller would see: nothing in it is for operators only. */
  readonly caller: CallerView
}

export interface ConsideredRoute {
  readonly route: string
  readonly owner: string
  readonly why: 'chosen' | 'method' | 'conditions' | 'fewer_conditions' | 'less_specific' | 'ambiguous'
}

/** A posture header that counted for nothing. */
export interface LeftOutHeader {
  /** In lower case. */
  readonly header: string
  readonly why: 'peer_not_listed'
  /** Where the request is taken to come from. */
  readonly peer: string
}

/** An expression of a mapping, and what it was; without a value where the field was left out or holds a secret. */
export interface EvaluatedExpression {
  readonly at: string
  readonly expression: string
  readonly value?: JsonValue
  readonly secret?: true
}

/** The key of a grant, and what it is made of. */
export interface GrantExplanation {
  /** Null: the answer is never kept. */
  readonly id: string | null
  /** Why it is not kept. */
  readonly why: string | null
  readonly parts: Readonly<Record<string, string | number | null>>
}

/** What an answer tells its caller. */
export interface CallerView {
  /** Null: whatever the application answers. */
  readonly status: number | null
  readonly code: string
  readonly title: string | null
  readonly detail: string | null
}

/** What of a request chooses its route. */
export type ConsideredRequest = Pick<
  CanonicalRequest,
  'method' | 'host' | 'authority' | 'scheme' | 'path' | 'query' | 'headers' | 'names'
>

/** What an explanation looks at besides the stages. */
export interface ExplainTools {
  /** Stands in for the authenticators, when claims are given instead of a credential. */
  readonly identify?: Identify
  /** Lower-case names of what says how a device is. */
  readonly posture: ReadonlySet<string>
  readonly consider: (
    request: ConsideredRequest,
  ) => readonly { readonly route: Route; readonly why: ConsideredRoute['why'] }[]
  readonly evaluated: (route: Route, bound: Bound) => readonly EvaluatedExpression[]
  readonly grant: (question: Question) => GrantExplanation | null
  readonly policies: (engine: string, ids: readonly string[]) => readonly PolicySource[]
  readonly near: (engine: string, request: AccessRequest) => readonly NearPolicy[]
}

export type Identify = (
  request: CanonicalRequest,
  route: Route,
  signal: () => AbortSignal,
) => Identity | Refusal | Promise<Identity | Refusal>

/**
 * Takes a request the whole way by the stages that serve, except that it is neither recorded nor forwarded.
 *
 * Does not hold any secret, nor more of the credential than a record does.
 */
export const explain = async (
  stages: Stages,
  exchange: Exchange,
  tools: ExplainTools,
): Promise<Explanation> => {
  const reached = await walk(stages, exchange, tools.identify ?? stages.authenticate)
  return tell(reached, exchange, tools)
}

/** How far a request came. */
interface Reached {
  readonly request: RequestFacts
  readonly route?: Route
  readonly identity?: Identity | null
  readonly bound?: Bound
  readonly outcome: Decision | Refusal
}

const walk = async (stages: Stages, exchange: Exchange, identify: Identify): Promise<Reached> => {
  const accepted = stages.accept(exchange.head)
  if (isRefusal(accepted)) return { request: accepted.request, outcome: accepted }
  const { request, route } = accepted
  const identity = route.access === 'public' ? null : await identify(request, route, exchange.signal)
  if (identity !== null && isRefusal(identity)) return { request, route, outcome: identity }
  const body = stages.needsBody(route) ? await stages.readBody(exchange) : null
  if (body !== null && !Buffer.isBuffer(body)) return { request, route, identity, outcome: body }
  const bound = stages.bind(accepted, identity, body)
  if (isRefusal(bound)) return { request, route, identity, outcome: bound }
  const outcome = await stages.decide({ route, identity, bound, request, signal: exchange.signal })
  return { request, route, identity, bound, outcome }
}

const tell = (reached: Reached, exchange: Exchange, tools: ExplainTools): Explanation => {
  const { request, outcome, bound } = reached
  const route = reached.route ?? null
  const identity = reached.identity ?? null
  const decision = isRefusal(outcome) ? null : outcome
  const code = codeOf(outcome)
  return {
    decision: code === 'allowed' ? 'allow' : 'deny',
    code,
    status: code === 'allowed' ? null : REFUSALS[code].status,
    source: isRefusal(outcome) ? outcome.stage : outcome.source,
    detail: isRefusal(outcome) ? outcome.detail : null,
    request: { method: request.method, host: request.host, path: request.path, ip: request.ip },
    leftOut: leftOut(request, exchange, tools),
    route: route?.name ?? null,
    owner: route?.owner ?? null,
    subject: identity?.subject ?? null,
    credential: identity === null ? null : withoutDigest(identity.credential),
    accessRequest: bound === undefined ? null : questionOf(bound),
    inputs: bound?.inputs ?? (isRefusal(outcome) ? outcome.read?.inputs : undefined) ?? null,
    engine: route === null || route.engine === '' ? null : route.engine,
    policyVersion: decision?.policyVersion ?? null,
    reasons: decision?.reasons ?? [],
    errors: decision?.errors ?? [],
    ...(decision?.evaluations === undefined ? {} : { evaluations: decision.evaluations }),
    upstream: route === null || bound === undefined ? null : { name: route.upstream, target: bound.target },
    considered: tools
      .consider(subjectOfChoice(reached, exchange))
      .map(({ route: { name, owner }, why }) => ({ route: name, owner, why })),
    expressions: route === null || bound === undefined ? [] : tools.evaluated(route, bound),
    ...aboutDecision(reached, decision, exchange, tools),
    caller: callerView(code, outcome),
  }
}

/** Nothing of a request that was refused before that was looked at. */
const leftOut = (
  request: RequestFacts,
  { head }: Exchange,
  { posture }: ExplainTools,
): readonly LeftOutHeader[] => {
  if (!('names' in request)) return []
  const { names } = request as CanonicalRequest
  const sent = head.headers.filter((_text, index) => index % 2 === 0).map((name) => name.toLowerCase())
  return [...new Set(sent)]
    .filter((name) => posture.has(name) && !names.includes(name))
    .map((header) => ({ header, why: 'peer_not_listed', peer: head.remoteAddress }))
}

/** What the route was chosen by; of a refused request, what it said itself. */
const subjectOfChoice = ({ request }: Reached, { head }: Exchange): ConsideredRequest => {
  const { method, host, path } = request
  if ('names' in request) return request as CanonicalRequest
  const mark = head.target.indexOf('?')
  return {
    method,
    host,
    path,
    authority: headerValues(head.headers, 'host')[0] ?? host,
    scheme: head.tls ? 'https' : 'http',
    query: mark === -1 ? '' : head.target.slice(mark),
    headers: head.headers,
    names: head.headers.filter((_text, index) => index % 2 === 0).map((name) => name.toLowerCase()),
  }
}

const aboutDecision = (
  { route, identity = null, bound }: Reached,
  decision: Decision | null,
  { signal }: Exchange,
  { grant, policies, near }: ExplainTools,
): Pick<Explanation, 'grant' | 'policies' | 'near'> => {
  if (route === undefined || bound === undefined || route.access === 'public')
    return { grant: null, policies: [], near: [] }
  const unanswered = (bound.batch ? decision?.evaluations : decision && [decision]) ?? []
  const denied = bound.accessRequests.filter((_request, index) => {
    const answer = unanswered[index]
    return answer?.decision === 'deny' && answer.reasons.length === 0
  })
  return {
    grant: grant({ route, identity, bound, signal }),
    policies: decision === null ? [] : policies(route.engine, decision.reasons),
    near: denied.flatMap((request) => near(route.engine, request)),
  }
}

const callerView = (code: 'allowed' | RefusalCode, outcome: Decision | Refusal): CallerView => {
  if (code === 'allowed') return { status: null, code, title: null, detail: null }
  const { status, title } = REFUSALS[code]
  return { status, code, title, detail: (isRefusal(outcome) ? outcome.publicDetail : undefined) ?? null }
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
