import type { AccessRequest } from '../../core/access-request.ts'
import type { Clock } from '../../core/clock.ts'
import type { Bound, Decision } from '../../core/decision.ts'
import type { Identity } from '../../core/identity.ts'
import { isRefusal, type Refusal, refuse } from '../../core/refusals.ts'
import type { Route } from '../../core/route.ts'
import { sharedWaitOf } from '../../core/shared-wait.ts'
import type { TaskReference } from '../../core/stream.ts'
import type { Question, Stages } from '../pipeline.ts'
import { conclude, decisionOf } from './conclude.ts'
import type { RouteGrantConfig } from './config.ts'
import type { Engine, EngineAnswers, HttpQuestion } from './engines/engine.ts'
import { type Flight, startFlight } from './flight.ts'
import { type ContextBinding, createContextBinding, type Seen } from './grants/context-binding.ts'
import { grantFacts } from './grants/grant-facts.ts'
import { grantKey, grantScopeText } from './grants/grant-key.ts'
import type { Grant, GrantStore } from './grants/store.ts'
import type { RevocationFeed } from './revocations/feed.ts'
import type { Held } from './revocations/position.ts'
import { SHADOW_WAIT_MS, withShadow } from './shadow.ts'
import { type SharedLook, startLook } from './shared-look.ts'

export interface DecideOptions {
  readonly engines: ReadonlyMap<string, Engine>
  readonly store: GrantStore
  readonly feed: Pick<RevocationFeed, 'freshness' | 'position' | 'voids'> &
    Partial<Pick<RevocationFeed, 'publish'>>
  /** By `route.index`; null: ask the engine every time. */
  readonly routes: readonly (RouteGrantConfig | null)[]
  /** By `route.index`: changes whenever the route's mapping does. */
  readonly mappingHashes: readonly string[]
  readonly clock: Clock
  /** How long an engine that does not answer at once may take, unless it says itself; default 500. */
  readonly engineTimeoutMs?: number
}

/** One request's questions, and what their answer is kept by. */
interface Case {
  readonly engine: Engine
  readonly requests: readonly AccessRequest[]
  readonly batch: boolean
  readonly http: HttpQuestion | undefined
  /** Asked too, for the record only. */
  readonly shadow: Engine | null
  readonly identity: Identity
  readonly task: TaskReference | undefined
  readonly policyVersion: string
  readonly askedAtMs: number
  /** Of the revocation feed, when it was asked. */
  readonly held: Held
  /** Null: neither kept nor shared. */
  readonly keep: { readonly id: string; readonly config: RouteGrantConfig } | null
}

const DEFAULT_ENGINE_TIMEOUT_MS = 500
const DEFAULT_SHARED_TIMEOUT_MS = 50

const PUBLIC: Decision = Object.freeze({
  decision: 'allow',
  reasons: Object.freeze([]),
  errors: Object.freeze([]),
  source: 'route',
  policyVersion: 'none',
})

/** What is asked right now, and what that would be kept by. */
interface UnderWay {
  readonly flight: Flight<Decision>
  readonly asked: Case
  /** For a grant that another gateway made; null: there is no such look. */
  readonly look: SharedLook<Grant> | null
}

const LOST = refuse(
  'decide',
  'revocation_unavailable',
  'the revocation feed has been out of reach for too long',
)

/**
 * Answers what bind asks: from a grant, else from the engine, keeping the answer as a grant where it may be.
 *
 * A live grant, and an engine that answers at once, need no promise. Concurrent misses of one key ask the engine
 * once. Answers with errors in them, and refusals, are never kept. While the latest marks are not known, grants do
 * not serve.
 *
 * @returns a frozen decision, `engine_unavailable`, or `revocation_unavailable`.
 * @throws for what the configuration cannot have let pass, such as an unknown engine.
 * Does not check: that the credential is still good, and not refused by a mark (authenticate).
 */
export const createDecide = (options: DecideOptions): Stages['decide'] => {
  const { store, clock, feed } = options
  const flights = new Map<string, UnderWay>()
  const caseOf = createCases(options)
  const binding = bindingOf(options)

  const settle = (asked: Case, answers: EngineAnswers): Decision | Refusal => {
    const { engine, requests, batch, keep } = asked
    if (isRefusal(answers)) return answers
    if (answers.length !== requests.length) {
      return unavailable(engine, `${answers.length} answers to ${requests.length} questions`)
    }
    const policyVersion = answers[0]?.policyVersion ?? engine.policyVersion()
    // Policies that changed in between: nobody can say which of them answered.
    const config = keep !== null && policyVersion === asked.policyVersion ? keep.config : null
    const conclusion = conclude(answers, config)
    const expiresAtMs = expiry(asked, conclusion.lifeMs)
    if (keep === null || !(expiresAtMs > clock.nowMs())) {
      return decisionOf(conclusion, { source: 'engine', policyVersion, batch, grant: undefined })
    }
    // A deny that is kept grants nothing.
    const grant = conclusion.decision === 'allow' ? Object.freeze({ id: keep.id, expiresAtMs }) : undefined
    const kept = decisionOf(conclusion, { source: 'grant', policyVersion, batch, grant })
    store.put({
      id: keep.id,
      decision: kept,
      expiresAtMs,
      lifeMs: expiresAtMs - asked.askedAtMs,
      held: asked.held,
      facts: grantFacts(keep.id, asked.identity, requests, asked.task?.id),
    })
    return decisionOf(conclusion, { source: 'engine', policyVersion, batch, grant })
  }

  /** Time has passed, and marks may have come, while it was fetched. */
  const mayServe = ({ expiresAtMs, facts, held }: Grant): boolean =>
    expiresAtMs > clock.nowMs() && feed.freshness() === 'fresh' && !feed.voids(facts, held)

  const answerShared = async (
    asked: Case,
    signal: () => AbortSignal,
    look: SharedLook<Grant>,
  ): Promise<Decision | Refusal> => {
    const shared = await look.found
    if (!shared || !mayServe(shared)) {
      return compared(asked, settle(asked, await asked.engine.evaluate(asked.requests, signal, asked.http)))
    }
    const { keep = store.put } = store
    keep(shared)
    return Object.freeze({ ...shared.decision, source: 'grant-shared' })
  }

  const lookFor = (
    { keep }: Case,
    signal: () => AbortSignal,
    caller: Question['signal'],
  ): SharedLook<Grant> | null => {
    const { getShared, sharedTimeoutMs: mostMs = DEFAULT_SHARED_TIMEOUT_MS } = store
    if (getShared === undefined || keep === null || feed.freshness() !== 'fresh') return null
    return startLook(getShared(keep.id, signal(), sharedWaitOf(caller)), { clock, mostMs })
  }

  const answer = (
    asked: Case,
    signal: () => AbortSignal,
    look: SharedLook<Grant> | null,
  ): Decision | Refusal | Promise<Decision | Refusal> => {
    if (look !== null) return answerShared(asked, signal, look)
    const answers = asked.engine.evaluate(asked.requests, signal, asked.http)
    if (answers instanceof Promise) return answers.then((known) => compared(asked, settle(asked, known)))
    return compared(asked, settle(asked, answers))
  }

  const compared = (
    { shadow, requests, http }: Case,
    decision: Decision | Refusal,
  ): Decision | Refusal | Promise<Decision | Refusal> =>
    shadow === null ? decision : withShadow(shadow, requests, decision, http)

  const ask = (
    asked: Case,
    caller: Question['signal'],
    seen: Seen | undefined,
  ): Decision | Refusal | Promise<Decision | Refusal> => {
    if (seen !== undefined && asked.keep !== null) binding?.missed(seen, asked.keep.config.ttlMs)
    let controller: AbortController | null = null
    const control = (): AbortController => {
      controller ??= new AbortController()
      return controller
    }
    const signal = (): AbortSignal => control().signal
    const look = lookFor(asked, signal, caller)
    // What waits for those that are shared is not taken from the engine's time.
    const sharedMs = look === null ? 0 : (store.sharedTimeoutMs ?? DEFAULT_SHARED_TIMEOUT_MS)
    const answers = answer(asked, signal, look)
    if (!(answers instanceof Promise)) return answers
    const { engine, keep, shadow } = asked
    const timeoutMs = engine.timeoutMs ?? options.engineTimeoutMs ?? DEFAULT_ENGINE_TIMEOUT_MS
    const flight = startFlight(answers, {
      timeoutMs: sharedMs + timeoutMs + (shadow === null ? 0 : SHADOW_WAIT_MS),
      timedOut: unavailable(engine, `no answer within ${timeoutMs} ms`),
      abort: () => control().abort(),
      onEnd: () => {
        if (keep !== null && flights.get(keep.id)?.asked === asked) flights.delete(keep.id)
      },
    })
    if (keep !== null) flights.set(keep.id, { flight, asked, look })
    return flight.join(caller())
  }

  /** What was asked before a mark that covers it answers nobody who came after that mark. */
  const joined = (id: string, caller: Question['signal']): Promise<Decision | Refusal> | null => {
    const underWay = flights.get(id)
    if (underWay === undefined) return null
    const { flight, asked, look } = underWay
    if (feed.voids(grantFacts(id, asked.identity, asked.requests, asked.task?.id), asked.held)) return null
    look?.join(sharedWaitOf(caller))
    return flight.join(caller())
  }

  return (question) => {
    if (question.route.access === 'public') return PUBLIC
    const asked = caseOf(question)
    const freshness = feed.freshness()
    // No mark covers somebody who has proved nothing.
    if (freshness === 'lost' && asked.identity.credential.type !== 'anonymous') return LOST
    const id = asked.keep?.id
    const bindTo = asked.keep?.config.bindTo
    const seen =
      id === undefined || bindTo === undefined ? undefined : binding?.seen(id, asked.requests, bindTo)
    if (id === undefined || freshness !== 'fresh') return ask(asked, question.signal, seen)
    const grant = store.get(id)
    if (grant !== undefined) return grant.decision
    return joined(id, question.signal) ?? ask(asked, question.signal, seen)
  }
}

/** By store: what was seen outlives an edit as long as the grants do. */
const bindings = new WeakMap<GrantStore, ContextBinding>()

const bindingOf = ({ store, feed }: DecideOptions): ContextBinding | null => {
  if (store.isReadOnly === true) return null
  const known = bindings.get(store) ?? createContextBinding(store, feed.publish)
  bindings.set(store, known)
  return known
}

/** All that a grant's key was made of besides the questions, and the key. */
interface Keyed {
  readonly scopeText: string
  readonly policyVersion: string
  readonly identity: Identity
  readonly key: string
}

/** Makes the case of a question; what is the same for all requests of a route is made once. */
const createCases = ({ engines, routes, mappingHashes, clock, feed }: DecideOptions) => {
  const scopeTexts = new Map<number, string>()
  // What is kept is the very same object whenever it is asked.
  const keyed = new WeakMap<readonly AccessRequest[], Keyed>()

  const scopeTextOf = (route: Route, engine: Engine, grant: RouteGrantConfig): string => {
    const known = scopeTexts.get(route.index)
    if (known !== undefined) return known
    const mappingHash = mappingHashes[route.index]
    if (mappingHash === undefined) throw new Error(`the route ${route.name} has no mapping hash`)
    const { name, type: engineType, configuration = '' } = engine
    const names = { route: route.name, engine: name, engineType, configuration }
    const text = grantScopeText({ ...names, mappingHash, grant })
    scopeTexts.set(route.index, text)
    return text
  }

  const keyOf = (
    scopeText: string,
    policyVersion: string,
    identity: Identity,
    { accessRequests: requests, isKept }: Bound,
  ): string => {
    const known = isKept === true ? keyed.get(requests) : undefined
    if (
      known?.scopeText === scopeText &&
      known.policyVersion === policyVersion &&
      known.identity === identity
    ) {
      return known.key
    }
    const key = grantKey(scopeText, policyVersion, identity, requests)
    if (isKept === true) keyed.set(requests, { scopeText, policyVersion, identity, key })
    return key
  }

  return ({ route, identity, bound, request }: Question): Case => {
    const requests = bound.accessRequests
    const engine = engines.get(route.engine)
    const config = routes[route.index]
    const shadow = route.shadow === undefined ? null : (engines.get(route.shadow) ?? null)
    if (engine === undefined || config === undefined) throw new Error(`the route ${route.name} has no engine`)
    // Every one of none is allowed: asking nothing must not be a way in.
    if (identity === null || requests.length === 0) throw new Error(`the route ${route.name} asks nothing`)
    const policyVersion = engine.policyVersion()
    const keep =
      config !== null && bound.cacheable && engine.readsHttp !== true
        ? { id: keyOf(scopeTextOf(route, engine, config), policyVersion, identity, bound), config }
        : null
    return {
      engine,
      requests,
      batch: bound.batch,
      http: (engine.readsHttp || shadow?.readsHttp) && request ? { request, body: bound.body } : undefined,
      shadow,
      identity,
      task: bound.task,
      policyVersion,
      askedAtMs: clock.nowMs(),
      held: feed.position(),
      keep,
    }
  }
}

/** What a grant is kept by. */
export interface GrantKeyParts {
  /** Null: the answer is never kept. */
  readonly id: string | null
  readonly why: 'grant_none' | 'changes_with_every_request' | 'reads_the_whole_request' | null
  /** Of the credential the start of its digest. */
  readonly parts: Readonly<Record<string, string | number | null>>
}

/** Makes what tells by which key an answer is kept, as `createDecide` does; for explanations. */
export const createGrantKeyReader = (options: DecideOptions): ((question: Question) => GrantKeyParts) => {
  const caseOf = createCases(options)
  return (question) => {
    const { engine, keep, policyVersion, identity } = caseOf(question)
    const { route, bound } = question
    const config = options.routes[route.index] ?? null
    const why = bound.cacheable ? 'reads_the_whole_request' : 'changes_with_every_request'
    return {
      id: keep?.id ?? null,
      why: keep !== null ? null : config === null ? 'grant_none' : why,
      parts: {
        route: route.name,
        engine: engine.name,
        mappingHash: options.mappingHashes[route.index] ?? '',
        policyVersion,
        credential: identity.credential.digest.slice(0, 12),
        ttlMs: config?.ttlMs ?? null,
        denyTtlMs: config?.denyTtlMs ?? null,
        quantiseMs: config?.quantiseMs ?? null,
      },
    }
  }
}

const expiry = ({ askedAtMs, identity, task }: Case, lifeMs: number): number => {
  const { expiresAt = Infinity } = identity.credential
  return Math.min(askedAtMs + lifeMs, expiresAt * 1000, task?.deadlineMs ?? Infinity)
}

const unavailable = (engine: Engine, what: string): Refusal =>
  refuse('decide', 'engine_unavailable', `engine ${engine.name}: ${what}`)
