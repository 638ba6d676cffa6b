import { LRUCache } from 'lru-cache'
import type { Configuration } from '../../config/configuration.ts'
import type { Subject } from '../../core/access-request.ts'
import { canonicalText } from '../../core/canonical-hash.ts'
import type { Clock } from '../../core/clock.ts'
import type { Bound, Decision } from '../../core/decision.ts'
import type { Identity } from '../../core/identity.ts'
import type { JsonObject, JsonValue } from '../../core/json.ts'
import { isRefusal, type Refusal, refuse } from '../../core/refusals.ts'
import type { Accepted } from '../../core/request.ts'
import type { Route } from '../../core/route.ts'
import { bindRecorded } from '../../gateway/bind/bind-recorded.ts'
import { isRedacted } from '../../gateway/bind/recorded-reads.ts'
import { conclude as concludeAnswers, decisionOf } from '../../gateway/decide/conclude.ts'
import type { Engine, EngineAnswers } from '../../gateway/decide/engines/engine.ts'
import { authenticationHash } from '../../gateway/record/authentication-hash.ts'
import { decisionRecord } from '../../gateway/record/record.ts'
import { questionOf, type Recorded, receivedAtMs } from './recorded.ts'
import { createRouteAgain } from './route-again.ts'
import type { Outcome, Verdict } from './verdict.ts'

type Later<T> = T | Promise<T>

const DEADLINE_MS = 10_000
const KEPT_DECISIONS = 20_000
const KEPT_CHARACTERS = 4 * 1024 * 1024

/** No answer of a policy: something was out of order, or what came was not whole. */
const NOT_COMPARABLE: ReadonlySet<string> = new Set([
  'too_large',
  'request_timeout',
  'rate_limited',
  'internal',
  'upstream_unavailable',
  'engine_unavailable',
  'authenticator_unavailable',
  'audit_unavailable',
  'revocation_unavailable',
  'upstream_timeout',
])

/**
 * Decides recorded requests again by a draft, from what their records kept and nothing else.
 *
 * Credentials are not recorded: whoever was authenticated is taken to be so again, by the one credential that the
 * record names. What cannot be told from the record is undecidable, and says why.
 */
export const createDecideAgain = (deps: {
  readonly configuration: Configuration
  readonly engines: ReadonlyMap<string, Engine>
  readonly clock: Clock
}): ((recorded: Recorded) => Later<Verdict>) => {
  const { configuration, engines, clock } = deps
  const { routes } = configuration
  const routeAgain = createRouteAgain(configuration)
  const decide = createDecideKept(deps)

  const authenticated = (recorded: Recorded, route: Route): Identity | null | Refusal | string => {
    const { credential, authenticated: subject } = recorded
    if (route.access === 'public') return null
    if (credential === null || subject === null) {
      if (recorded.source !== 'authenticate') return 'nobody was asked who they are when it was recorded'
      if (recorded.authentication === authenticationHash(route)) return SAME_REFUSAL
      return 'who it was is not recorded, and the route asks for other credentials now'
    }
    if (isRedacted(subject)) return 'the subject: redacted'
    const name = String(credential.authenticator)
    if (!route.authenticate.includes(name)) return NOT_ACCEPTED
    if (route.require !== undefined && recorded.authentication !== authenticationHash(route)) {
      return 'the route requires more of a credential than is recorded of it'
    }
    return {
      // It was one when it was recorded.
      subject: subject as unknown as Subject,
      credential: {
        type: String(credential.type),
        authenticator: name,
        id: String(credential.id),
        digest: '',
        ...(typeof credential.issuer === 'string' ? { issuer: credential.issuer } : {}),
      },
      claims: {},
    }
  }

  return (recorded) => {
    if (NOT_COMPARABLE.has(recorded.code)) {
      return undecidable(recorded, `it ended with ${recorded.code}, with which no decision can be compared`)
    }
    const routed = routeAgain(recorded)
    if ('untold' in routed) return undecidable(recorded, routed.untold)
    if ('same' in routed) return verdict(recorded, 'unchanged', { code: recorded.code })
    if ('unmapped' in routed) {
      return {
        ...verdict(recorded, 'unmapped', { decision: 'deny', code: 'no_route' }),
        route: recorded.route,
      }
    }
    const accepted = acceptedOf(recorded, routed.route, routed.path)
    if (accepted === null) return undecidable(recorded, 'its request id does not tell when it came')
    const { route } = accepted
    const identity = authenticated(recorded, route)
    if (typeof identity === 'string') return undecidable(recorded, identity)
    const conclude = (bound: Bound | null, outcome: Decision | Refusal): Verdict =>
      compare(
        recorded,
        accepted,
        identity === null || isRefusal(identity) ? null : identity,
        bound,
        outcome,
        clock,
      )
    if (identity === SAME_REFUSAL) return verdict(recorded, 'unchanged', { code: recorded.code })
    if (identity !== null && isRefusal(identity)) return conclude(null, identity)
    const configured = routes[route.index]
    if (configured === undefined) throw new Error(`the route ${route.name} is not there`)
    if (recorded.mapping === configured.plan.mappingHash && !hasInputs(recorded)) {
      return verdict(recorded, 'unchanged', { code: recorded.code, route: route.name })
    }
    const age = recorded.credential?.ageSeconds
    const bound = bindRecorded(configured.plan, {
      accepted,
      identity,
      ageSeconds: typeof age === 'number' ? age : undefined,
      reads: recorded.reads,
    })
    if ('untold' in bound) return undecidable(recorded, bound.untold)
    if (isRefusal(bound)) return conclude(null, bound)
    if (route.access !== 'public' && engines.get(route.engine)?.readsHttp === true) {
      return undecidable(
        recorded,
        `the engine ${route.engine} looks at the whole request, which is not recorded`,
      )
    }
    const outcome = decide(route, bound)
    return outcome instanceof Promise
      ? outcome.then((known) => conclude(bound, known))
      : conclude(bound, outcome)
  }
}

const NOT_ACCEPTED: Refusal = {
  refusal: 'unauthenticated',
  stage: 'authenticate',
  detail: 'the route does not accept the recorded credential',
}
const SAME_REFUSAL: Refusal = { refusal: 'unauthenticated', stage: 'authenticate', detail: '' }

const hasInputs = ({ reads }: Recorded): boolean =>
  reads.absent.size > 0 || Object.keys(reads.inputs).length > 0

const acceptedOf = (
  { request }: Recorded,
  route: Route,
  path: Readonly<Record<string, string>>,
): Accepted | null => {
  const receivedMs = receivedAtMs(request.id)
  if (receivedMs === null) return null
  return {
    route,
    path,
    request: {
      ...request,
      receivedAtMs: receivedMs,
      scheme: 'http',
      authority: request.host,
      query: '',
      target: request.path,
      originalTarget: request.path,
      headers: [],
      names: [],
      tls: false,
      remoteAddress: request.ip,
    },
  }
}

/** Asks the engines without grants: none stands between a question and the draft's policies. The same is asked once. */
const createDecideKept = ({ engines }: Pick<Parameters<typeof createDecideAgain>[0], 'engines'>) => {
  const kept = new LRUCache<string, Decision>({ max: KEPT_DECISIONS, maxSize: KEPT_CHARACTERS })
  return (route: Route, bound: Bound): Later<Decision | Refusal> => {
    if (route.access === 'public') return PUBLIC
    const engine = engines.get(route.engine)
    if (engine === undefined) throw new Error(`the route ${route.name} has no engine`)
    const key = `${route.engine} ${bound.batch} ${canonicalText(bound.accessRequests)}`
    const known = kept.get(key)
    if (known !== undefined) return known
    const settle = (answers: EngineAnswers): Decision | Refusal => {
      if (isRefusal(answers)) return answers
      if (answers.length !== bound.accessRequests.length) {
        return refuse(
          'decide',
          'engine_unavailable',
          `engine ${engine.name}: not as many answers as questions`,
        )
      }
      const policyVersion = answers[0]?.policyVersion ?? engine.policyVersion()
      const more = { source: 'engine', policyVersion, batch: bound.batch, grant: undefined } as const
      const decision = decisionOf(concludeAnswers(answers, null), more)
      kept.set(key, decision, { size: key.length })
      return decision
    }
    const answers = engine.evaluate(bound.accessRequests, () => AbortSignal.timeout(DEADLINE_MS))
    return answers instanceof Promise ? answers.then(settle) : settle(answers)
  }
}

const PUBLIC: Decision = Object.freeze({
  decision: 'allow',
  reasons: Object.freeze([]),
  errors: Object.freeze([]),
  source: 'route',
  policyVersion: 'none',
})

const BY = { configVersion: '', writer: '' }

const compare = (
  recorded: Recorded,
  accepted: Accepted,
  identity: Identity | null,
  bound: Bound | null,
  outcome: Decision | Refusal,
  clock: Clock,
): Verdict => {
  const { request, route } = accepted
  if (isRefusal(outcome) && NOT_COMPARABLE.has(outcome.refusal)) {
    return undecidable(recorded, `the draft could not decide: ${outcome.detail}`)
  }
  const entry = { id: request.id, outcome, request, route, identity, bound, latencyUs: {} }
  const after = decisionRecord(entry, { ...BY, clock })
  const known = {
    route: route.name,
    decision: after.decision,
    code: after.code,
    policies: after.reasons ?? [],
  }
  if (after.decision !== recorded.decision) {
    return verdict(recorded, after.decision === 'allow' ? 'newlyAllowed' : 'newlyDenied', known)
  }
  // Its fields are JSON, or undefined.
  const question = questionOf(after as unknown as JsonObject)
  const changes = [
    ...(recorded.code === after.code ? [] : [`code ${recorded.code} -> ${after.code}`]),
    ...(recorded.route === route.name ? [] : [`route ${recorded.route ?? '-'} -> ${route.name}`]),
    ...(sameJson(recorded.question, question) ? [] : ['another question is asked']),
  ]
  if (changes.length > 0) return { ...verdict(recorded, 'changed', known), reason: changes.join(', ') }
  const otherReasons = !sameJson([...recorded.reasons].sort(), [...known.policies].sort())
  return { ...verdict(recorded, 'unchanged', known), otherReasons }
}

const sameJson = (left: JsonValue, right: JsonValue): boolean => canonicalText(left) === canonicalText(right)

const undecidable = (recorded: Recorded, reason: string): Verdict => ({
  ...verdict(recorded, 'undecidable', {}),
  reason,
})

const verdict = (
  recorded: Recorded,
  outcome: Outcome,
  known: Partial<Pick<Verdict, 'route' | 'decision' | 'code' | 'policies'>>,
): Verdict => {
  const { subject } = recorded
  return {
    outcome,
    reason: null,
    route: known.route ?? recorded.route,
    policies: known.policies ?? recorded.reasons,
    subject: subject === null ? null : `${String(subject.type)}::${String(subject.id)}`,
    decision: known.decision ?? (outcome === 'unchanged' ? recorded.decision : null),
    code: known.code ?? null,
    wasMapped: recorded.route !== null,
    otherReasons: false,
  }
}
