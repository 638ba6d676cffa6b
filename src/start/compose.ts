import { hostname } from 'node:os'
import type { DecisionRing } from '../admin/decisions/decision-ring.ts'
import type { Traffic } from '../admin/metrics/traffic.ts'
import type { Configuration } from '../config/configuration.ts'
import type { Carrier } from '../core/carrier.ts'
import type { Clock } from '../core/clock.ts'
import type { Bound } from '../core/decision.ts'
import type { Dialect } from '../core/dialect.ts'
import type { Ending } from '../core/ending.ts'
import type { Identity } from '../core/identity.ts'
import type { Log } from '../core/log.ts'
import { isRefusal, type Refusal, refuse } from '../core/refusals.ts'
import type { Accepted } from '../core/request.ts'
import type { Route } from '../core/route.ts'
import { sharedWaitOf } from '../core/shared-wait.ts'
import { createAccept, NO_ROUTE } from '../gateway/accept/accept.ts'
import { unmatchedRoute } from '../gateway/accept/builtin-route.ts'
import { createAuthenticate } from '../gateway/authenticate/authenticate.ts'
import type { Authenticator } from '../gateway/authenticate/authenticator.ts'
import { createEndpoints, type Endpoints, endpointRoute } from '../gateway/authenticate/endpoints.ts'
import { pointingToMetadata, resourceDocuments } from '../gateway/authenticate/resource-metadata.ts'
import {
  createSignals,
  type SeenTokens,
  SIGNALS_PATH,
  type SignalDraft,
} from '../gateway/authenticate/signals/receiver.ts'
import { createBind, createBindObserved, needsBody } from '../gateway/bind/bind.ts'
import { type BodyLimits, readBody, readBroughtBody } from '../gateway/bind/body.ts'
import { findForgery } from '../gateway/bind/forgeries.ts'
import type { Tasks } from '../gateway/bind/tasks.ts'
import { resolveRouteGrant } from '../gateway/decide/config.ts'
import { createDecide, createGrantKeyReader, type DecideOptions } from '../gateway/decide/decide.ts'
import type { Engine } from '../gateway/decide/engines/engine.ts'
import { joinEngines } from '../gateway/decide/engines/together.ts'
import { grantFacts } from '../gateway/decide/grants/grant-facts.ts'
import type { GrantStore } from '../gateway/decide/grants/store.ts'
import type { RevocationFeed } from '../gateway/decide/revocations/feed.ts'
import type { AssertionSettings } from '../gateway/enforce/assertion-key.ts'
import { createEnforce } from '../gateway/enforce/enforce.ts'
import type { Upstream } from '../gateway/enforce/upstreams.ts'
import type { Stages } from '../gateway/pipeline.ts'
import { createFloods } from '../gateway/record/floods.ts'
import { createRecord, type RecordStage } from '../gateway/record/record.ts'
import type { Sink } from '../gateway/record/sinks/sink.ts'
import { acceptListeners, authzenRoutes } from './authzen-routes.ts'
import { counted, countedHold, redactionOf, usedBy } from './telemetry.ts'

/** What the stages of a configuration are made of, and others may be using too. */
export interface Parts {
  readonly authenticators: ReadonlyMap<string, Authenticator>
  readonly engines: ReadonlyMap<string, Engine>
  readonly upstreams: ReadonlyMap<string, Upstream>
  readonly store: GrantStore
  readonly feed: RevocationFeed
  /** Event tokens that were taken by any configuration. */
  readonly seenTokens: SeenTokens
  readonly tasks: Tasks
  readonly sinks: readonly Sink[]
  readonly assertion: AssertionSettings
  readonly onRecorded: () => void
  readonly traffic: Traffic
  /** Gets what is recorded, for the admin port; null where there is none. */
  readonly ring: DecisionRing | null
  readonly usage: NonNullable<Stages['usage']>
  /** Number of this process among its workers. */
  readonly worker: number
  /** Gets what is to be done before the sinks are let go of. */
  readonly whenRetired: (close: () => void) => void
  readonly clock: Clock
  readonly log: Log
}

/** Joins the stages of one configuration. */
export const composeStages = (configuration: Configuration, parts: Parts): Stages => {
  const { routes } = configuration
  const { authenticators, clock, log } = parts
  const plans = routes.map(({ plan }) => plan)
  const routesByName = new Map(routes.map(({ route }) => [route.name, route]))
  const carriers = [...authenticators.values()].map(({ carrier }) => carrier)
  const controlledHeaders = new Set(
    plans.flatMap((plan) => plan.headerNames.map((name) => name.toLowerCase())),
  )
  const decidedHeaders = headersThatDecide(configuration)
  const bind = createBind({ plans, clock })
  const endpoints = createEndpoints(authenticators.values())
  const dialects = askingDialects(configuration)
  const bindObserved = createBindObserved({ plans, clock })
  const withoutForgeries = (accepted: Accepted, bound: Bound | Refusal): Bound | Refusal =>
    accepted.dialect !== 'forward-auth' || isRefusal(bound)
      ? bound
      : (findForgery(accepted, bound, controlledHeaders) ?? bound)
  const documents = resourceDocuments(configuration.protectedResources)
  const documentOf = new Map(documents.map(({ route, json }) => [route, JSON.stringify(json)]))
  const unmatched = configuration.unmatched === null ? null : unmatchedRoute(configuration.unmatched)
  const enforce = createEnforce({
    upstreams: parts.upstreams,
    assertion: parts.assertion,
    completeTask: completeTask(parts),
    carriers,
    carriersByName: new Map([...authenticators].map(([name, { carrier }]) => [name, carrier])),
    controlledHeaders,
    decidedHeaders,
    dialects,
    clock,
    log,
  })
  return {
    accept: createAccept({
      table: configuration.table,
      listeners: acceptListeners(configuration),
      guardedHeaders: new Set([
        ...controlledHeaders,
        ...decidedHeaders,
        ...carriers.flatMap(headerOf),
        ...believedHeaders(configuration),
      ]),
      unrepeatableHeaders: new Set([...decidedHeaders, ...carriers.flatMap(headerOf), 'authorization']),
      endpoints: withSignals(configuration, endpoints),
      ...(documents.length === 0 ? {} : { documents }),
      unmatched,
      clock,
    }),
    serve: composeServe(configuration, endpoints, parts),
    authenticate: pointingToMetadata(
      createAuthenticate({ authenticators, clock, revoked: revokedBy(parts.feed) }),
      documents,
    ),
    needsBody: ({ index }) => {
      const plan = plans[index]
      return plan !== undefined && needsBody(plan)
    },
    readBody: (exchange) =>
      readBroughtBody(exchange, dialects.get(exchange.head.listener), bodyLimits(configuration)),
    bind: (accepted, identity, body) => {
      if (accepted.route === unmatched) return NO_ROUTE
      if (isBuiltIn(accepted)) return asItCame(accepted, documentOf.get(accepted.route))
      const bound = bind(accepted, identity, body)
      const attached = isRefusal(bound) ? bound : parts.tasks.attach(accepted, identity, bound)
      return withoutForgeries(accepted, attached)
    },
    bindObserved: (accepted, identity, body) =>
      withoutForgeries(accepted, bindObserved(accepted, identity, body)),
    decide: composeDecide(configuration, parts),
    revocations: {
      held: parts.feed.position,
      concern: concernedBy(parts.feed),
      voids: voidedBy(parts.feed),
      changes: parts.feed.changes,
    },
    ...composeCountedRecord(configuration, parts),
    forward: enforce.forward,
    refuse: enforce.refuse,
    streamRoute: (name) => routesByName.get(name) ?? null,
    usage: usedBy(parts.usage, parts.traffic),
  }
}

/** By listener; whoever forwards a request itself is missing. */
const askingDialects = ({ listeners }: Configuration): ReadonlyMap<string, Dialect> =>
  new Map(
    listeners
      .filter(({ speaks }) => speaks !== 'proxy' && speaks !== 'authzen')
      .map(({ id, speaks }) => [id, speaks] as const),
  )

type DecideParts = Pick<Parts, 'engines' | 'store' | 'feed' | 'clock'>

/** Decides by the engines and the grants of a configuration. */
export const composeDecide = (configuration: Configuration, parts: DecideParts): Stages['decide'] =>
  createDecide(decideOptions(configuration, parts))

/** Tells by which key `composeDecide` keeps an answer. */
export const composeGrantKeyReader = (configuration: Configuration, parts: DecideParts) =>
  createGrantKeyReader(decideOptions(configuration, parts))

const decideOptions = (
  configuration: Configuration,
  { engines, store, feed, clock }: DecideParts,
): DecideOptions => {
  const { routes, grants } = configuration
  const asked = authzenRoutes(configuration)
  return {
    engines: withJoined(engines, [...routes.map(({ route }) => route), ...asked]),
    store,
    feed,
    routes: [...routes.map(({ grant }) => grant), ...asked.map(() => resolveRouteGrant(undefined, grants))],
    mappingHashes: [...routes.map(({ plan }) => plan.mappingHash), ...asked.map(({ name }) => name)],
    clock,
  }
}

/** Several engines that a route asks together are one more engine, by their names together. */
const withJoined = (
  engines: ReadonlyMap<string, Engine>,
  routes: readonly Route[],
): ReadonlyMap<string, Engine> => {
  const all = new Map(engines)
  for (const route of routes) {
    if (route.engines === undefined || all.has(route.engine)) continue
    const several = route.engines.flatMap((name) => engines.get(name) ?? [])
    if (several.length === route.engines.length) all.set(route.engine, joinEngines(several))
  }
  return all
}

type RecordParts = Pick<Parts, 'sinks' | 'onRecorded' | 'ring' | 'worker' | 'clock'>

/** Records by the sinks of a configuration. */
export const composeRecord = (configuration: Configuration, parts: RecordParts): RecordStage => {
  const { sinks, onRecorded, ring, clock } = parts
  const redact = redactionOf(sinks)
  return createRecord({
    sinks,
    configVersion: configuration.version,
    writer: `${hostname()}.${parts.worker}`,
    clock,
    onRecorded: (line) => {
      onRecorded()
      ring?.push(line, redact)
    },
  })
}

/** The same, floods of refusals as few lines, and all of it counted. */
const composeCountedRecord = (
  configuration: Configuration,
  parts: Parts,
): Pick<Stages, 'record' | 'hold'> => {
  const { traffic, clock, log } = parts
  const { write, hold } = composeRecord(configuration, parts)
  const floods = createFloods({ config: configuration.limits.refusalRecords, record: write, clock, log })
  parts.whenRetired(floods.close)
  return {
    record: counted((entry) => (floods.absorb(entry) ? 'coalesced' : write(entry)), traffic),
    // What is to be forwarded is never one of a flood.
    ...(hold && { hold: countedHold(hold, traffic) }),
  }
}

const bodyLimits = ({ limits }: Configuration): BodyLimits => ({
  maxBytes: limits.bodyBytes,
  timeoutMs: limits.requestTimeout,
})

/** The forms that endpoints take are small. */
const MOST_FORM_BYTES = 65_536

/** Here at once, so that the caller's next request comes too late, and everywhere by a mark. */
const completeTask =
  ({ tasks, feed, log }: Pick<Parts, 'tasks' | 'feed' | 'log'>) =>
  (id: string, upstream: string): void => {
    tasks.completed(id)
    const by = `upstream:${upstream}`
    const draft = { kind: 'task', target: id, effect: 'grants', reason: 'completed', by } as const
    const tell = (failed: string): void => log.error({ task: id, failed }, 'a task was completed here only')
    feed.publish(draft, true).then(
      (published) => {
        if ('failed' in published) tell(published.failed)
      },
      (bug: unknown) => tell(String(bug)),
    )
  }

/** Transmitters push to a path of their own, where there are any. */
const withSignals = ({ signals }: Configuration, { routes }: Endpoints): Endpoints['routes'] =>
  signals.length === 0
    ? routes
    : new Map([...routes, [SIGNALS_PATH, { route: endpointRoute(SIGNALS_PATH), methods: new Set(['POST']) }]])

const composeServe = (
  configuration: Configuration,
  endpoints: Endpoints,
  { clock, feed, seenTokens, log }: Pick<Parts, 'clock' | 'feed' | 'seenTokens' | 'log'>,
): Stages['serve'] => {
  const publishSignal = async (draft: SignalDraft): Promise<string | null> => {
    const published = await feed.publish(draft)
    return 'failed' in published ? published.failed : null
  }
  const receive = createSignals({
    transmitters: configuration.signals,
    publish: publishSignal,
    seen: seenTokens,
    log,
  })
  const limits = bodyLimits(configuration)
  const formLimits = { ...limits, maxBytes: Math.min(MOST_FORM_BYTES, limits.maxBytes) }
  return async (exchange, accepted) => {
    const { request } = accepted
    const body = request.method === 'POST' ? await readBody(exchange, formLimits) : null
    if (body !== null && isRefusal(body)) return body
    if (request.path === SIGNALS_PATH) {
      const refused = await receive(
        request,
        body ?? Buffer.alloc(0),
        clock.nowMs(),
        sharedWaitOf(exchange.signal),
      )
      return refused ?? { identity: null, bound: { ...asItCame(accepted), answer: { kind: 'accepted' } } }
    }
    const query = new URLSearchParams(request.query)
    const wait = sharedWaitOf(exchange.signal)
    const asked = { request, query, body, nowMs: clock.nowMs(), signal: exchange.signal(), wait }
    const answered = await endpoints.serve(asked)
    if (isRefusal(answered)) return answered
    const unpublished = await publish(answered.endings ?? [], feed)
    if (unpublished !== null) return unpublished
    await answered.forget?.()
    return { identity: answered.identity, bound: { ...asItCame(accepted), answer: answered.answer } }
  }
}

/** What is not known everywhere has not ended: whoever was told so would be wrong. */
const publish = async (endings: readonly Ending[], feed: RevocationFeed): Promise<Refusal | null> => {
  const drafts = endings
    .filter((ending) => !isOver(ending, feed))
    .map(({ kind, target, reason, untilMs: expiresAtMs }) =>
      feed.publish({ kind, target, reason, expiresAtMs, effect: 'credentials', by: 'authenticate' }),
    )
  for (const published of await Promise.all(drafts)) {
    if ('failed' in published) return refuse('authenticate', 'revocation_unavailable', published.failed)
  }
  return null
}

/** Ended before, and known everywhere: whoever repeats it with the same cookie must not use up the marks. */
const isOver = ({ kind, target, untilMs }: Ending, feed: RevocationFeed): boolean => {
  if (kind === 'subject') return false
  const named = {
    id: kind === 'credential' ? target : '',
    ...(kind === 'session' ? { session: target } : {}),
  }
  const credential = { type: 'ended', authenticator: '', digest: '', ...named }
  const mark = feed.refuses({ subject: { type: '', id: '' }, credential })
  return mark?.kind === kind && mark.target === target && mark.expiresAtMs >= untilMs
}

const revokedBy =
  (feed: RevocationFeed) =>
  (identity: Identity): string | null => {
    const mark = feed.refuses(identity)
    return mark === undefined
      ? null
      : `what was authenticated before mark ${mark.id} is refused: ${mark.reason}`
  }

const concernedBy =
  (feed: RevocationFeed) =>
  (identity: Identity, bound: Bound, held: string): boolean =>
    feed.refuses(identity) !== undefined || voidedBy(feed)(identity, bound, held)

const voidedBy =
  (feed: RevocationFeed) =>
  (identity: Identity, bound: Bound, held: string): boolean =>
    // Whatever its answer is kept by, if it is.
    feed.voids(grantFacts('', identity, bound.accessRequests, bound.task?.id), held)

const isBuiltIn = ({ route }: Accepted): boolean => route.index < 0

/** What Sallyport answers itself asks nothing and sets nothing. */
const asItCame = ({ request }: Accepted, json?: string): Bound => ({
  accessRequests: [],
  batch: false,
  cacheable: false,
  target: request.target,
  headers: [],
  inputs: {},
  body: null,
  ...(json === undefined ? {} : { answer: { kind: 'document', json } as const }),
})

const headerOf = (carrier: Carrier): readonly string[] => (carrier.kind === 'header' ? [carrier.name] : [])

const believedHeaders = ({ listeners }: Configuration): readonly string[] =>
  listeners.flatMap(({ trustedProxies }) => trustedProxies.flatMap(({ headers = [] }) => headers))

/** What a decision looks at: `Connection` must not remove it afterwards, nor an alias stand beside it. */
const headersThatDecide = ({ routes }: Configuration): ReadonlySet<string> => {
  const names = new Set<string>()
  for (const { match, plan } of routes) {
    for (const name of plan.wanted.headers) names.add(name)
    if (typeof match !== 'string')
      for (const name of Object.keys(match.headers)) names.add(name.toLowerCase())
  }
  return names
}
