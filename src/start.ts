import { hostname } from 'node:os'
import { startAdminServer } from './admin/admin-server.ts'
import type { Configuration } from './config/configuration.ts'
import { loadConfiguration } from './config/load.ts'
import type { Carrier } from './core/carrier.ts'
import type { Clock } from './core/clock.ts'
import type { Bound } from './core/decision.ts'
import type { Exchange } from './core/exchange.ts'
import type { JsonObject } from './core/json.ts'
import type { Log } from './core/log.ts'
import type { Finding } from './core/problem.ts'
import { refuse } from './core/refusals.ts'
import type { Accepted } from './core/request.ts'
import { createAccept } from './gateway/accept/accept.ts'
import { createListener, type Listener } from './gateway/accept/listener.ts'
import { createAuthenticate } from './gateway/authenticate/authenticate.ts'
import type { Authenticator } from './gateway/authenticate/authenticator.ts'
import { createBind, needsBody } from './gateway/bind/bind.ts'
import { readBody } from './gateway/bind/body.ts'
import { createDecide } from './gateway/decide/decide.ts'
import { createMemoryStore } from './gateway/decide/grants/memory.ts'
import { createJwsSigner } from './gateway/enforce/compact-jws.ts'
import { createEnforce } from './gateway/enforce/enforce.ts'
import { type Explanation, explain, type Identify } from './gateway/explain.ts'
import { createPipeline, type Stages } from './gateway/pipeline.ts'
import { createHeads } from './gateway/record/heads.ts'
import { createRecord } from './gateway/record/record.ts'
import { type Sink, SinkStartError } from './gateway/record/sinks/sink.ts'

/** What a gateway is started with; everything else is in the configuration file. */
export interface StartOptions {
  readonly file: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  readonly log: Log
}

export interface Gateway {
  /** `host:port` of every listener, in the order of the configuration. */
  readonly addresses: readonly string[]
  readonly adminAddress: string | null
  /** Readiness goes off, requests in flight finish within `drainTimeout`, logs are flushed. */
  readonly close: () => Promise<void>
}

export interface NotStarted {
  readonly findings: readonly Finding[]
}

/**
 * The composition root: configuration, stages, listeners.
 *
 * @returns the findings instead, when the configuration has an error, an address cannot be bound, or a log cannot
 *   be written.
 */
export const startGateway = async (options: StartOptions): Promise<Gateway | NotStarted> => {
  const { clock, log } = options
  const { configuration, findings } = await loadConfiguration(options.file, options)
  if (configuration === null) return { findings }
  for (const { message, file, line } of findings) log.warn({ file, line }, message)
  const sinks = openSinks(configuration)
  if ('findings' in sinks) return sinks
  const composition = compose(configuration, sinks.opened, options)
  const pipeline = createPipeline({ current: () => composition.stages, clock, log })
  const listeners = configuration.listeners.map((config) =>
    createListener({
      config,
      limits: configuration.limits,
      clock,
      log,
      onExchange: pipeline.handle,
      onParserRefusal: pipeline.refuseUnread,
    }),
  )
  let ready = false
  const opened = await openPorts(configuration, listeners, () => ready)
  if ('findings' in opened) {
    await composition.close(0)
    return opened
  }
  const { addresses, admin } = opened
  ready = true
  log.info({ addresses, admin: admin?.address() ?? null, config: configuration.version }, 'listening')
  return {
    addresses,
    adminAddress: admin?.address() ?? null,
    close: async () => {
      ready = false
      log.info({ drainTimeoutMs: configuration.drainTimeoutMs }, 'draining')
      await Promise.all(listeners.map((listener) => listener.close(configuration.drainTimeoutMs)))
      await composition.close(1000)
      await admin?.close()
      log.info({}, 'stopped')
    },
  }
}

/**
 * Loads a configuration and takes one request the whole way by it, without recording or forwarding it.
 *
 * @param asked `exchange` is called with the name of the first listener; `claims`, when given, are taken as
 *   verified by the first authenticator of the route that maps claims.
 */
export const explainRequest = async (
  options: StartOptions,
  asked: { readonly exchange: (listener: string) => Exchange; readonly claims: JsonObject | null },
): Promise<Explanation | NotStarted> => {
  const { configuration, findings } = await loadConfiguration(options.file, options)
  if (configuration === null) return { findings }
  const composition = compose(configuration, [], options)
  try {
    const exchange = asked.exchange(configuration.listeners[0]?.bind ?? '')
    if (asked.claims === null) return await explain(composition.stages, exchange)
    return await explain(composition.stages, exchange, composition.identifyByClaims(asked.claims))
  } finally {
    await composition.close(0)
  }
}

interface Composition {
  readonly stages: Stages
  readonly identifyByClaims: (claims: JsonObject) => Identify
  readonly close: (cutAfterMs: number) => Promise<void>
}

/** Builds the stages of one configuration. */
const compose = (
  configuration: Configuration,
  sinks: readonly Sink[],
  { clock, log }: Pick<StartOptions, 'clock' | 'log'>,
): Composition => {
  const { limits, routes, grants } = configuration
  const authenticators = createAll(configuration.authenticators)
  const engines = createAll(configuration.engines)
  const plans = routes.map(({ plan }) => plan)
  const carriers = [...authenticators.values()].map(({ carrier }) => carrier)
  const controlledHeaders = new Set(
    plans.flatMap((plan) => plan.headerNames.map((name) => name.toLowerCase())),
  )
  const assertion = configuration.assertionSettings()
  const signer = createJwsSigner(assertion.key, 'sallyport-audit-head+jwt')
  const heads = createHeads({ sinks, signer: { sign: signer }, log, clock })
  const bind = createBind({ plans, clock })
  const enforce = createEnforce({
    upstreams: configuration.upstreams,
    assertion,
    carriers,
    controlledHeaders,
    decidedHeaders: decidedHeaders(configuration),
    clock,
    log,
  })
  const stages: Stages = {
    accept: createAccept({
      table: configuration.table,
      listeners: new Map(configuration.listeners.map((listener) => [listener.bind, listener])),
      guardedHeaders: new Set([
        ...controlledHeaders,
        ...carriers.flatMap(headerOf),
        ...believedHeaders(configuration),
      ]),
      clock,
    }),
    authenticate: createAuthenticate({ authenticators, clock }),
    needsBody: ({ index }) => {
      const plan = plans[index]
      return plan !== undefined && needsBody(plan)
    },
    readBody: (exchange) =>
      readBody(exchange, { maxBytes: limits.bodyBytes, timeoutMs: limits.requestTimeout }),
    bind: (accepted, identity, body) =>
      isBuiltIn(accepted) ? asItCame(accepted) : bind(accepted, identity, body),
    decide: createDecide({
      engines,
      store: createMemoryStore({ clock, maxEntries: grants.maxEntries, maxBytes: grants.maxBytes }),
      routes: routes.map(({ grant }) => grant),
      mappingHashes: plans.map(({ mappingHash }) => mappingHash),
      clock,
    }),
    record: createRecord({
      sinks,
      configVersion: configuration.version,
      writer: `${hostname()}.0`,
      clock,
      onRecorded: heads.recorded,
    }),
    forward: enforce.forward,
    refuse: enforce.refuse,
  }
  return {
    stages,
    identifyByClaims: (claims) => identifyByClaims(authenticators, claims),
    close: async (cutAfterMs) => {
      await enforce.close(AbortSignal.timeout(cutAfterMs))
      for (const authenticator of authenticators.values()) authenticator.close?.()
      for (const engine of engines.values()) engine.close?.()
      heads.close()
      for (const sink of sinks) sink.close()
    },
  }
}

const createAll = <T>(factories: ReadonlyMap<string, () => T>): ReadonlyMap<string, T> =>
  new Map([...factories].map(([name, create]) => [name, create()]))

const isBuiltIn = ({ route }: Accepted): boolean => route.index < 0

/** What Sallyport answers itself asks nothing and sets nothing. */
const asItCame = ({ request }: Accepted): Bound => ({
  accessRequests: [],
  batch: false,
  cacheable: false,
  target: request.target,
  headers: [],
  inputs: {},
  body: null,
})

const headerOf = (carrier: Carrier): readonly string[] => (carrier.kind === 'header' ? [carrier.name] : [])

const believedHeaders = ({ listeners }: Configuration): readonly string[] =>
  listeners.flatMap(({ trustedProxies }) => trustedProxies.flatMap(({ headers }) => headers))

/** `Connection` must not remove after the decision what the decision looked at. */
const decidedHeaders = ({ routes }: Configuration): ReadonlySet<string> => {
  const names = new Set<string>()
  for (const { match, plan } of routes) {
    for (const name of plan.wanted.headers) names.add(name)
    if (typeof match !== 'string')
      for (const name of Object.keys(match.headers)) names.add(name.toLowerCase())
  }
  return names
}

const identifyByClaims =
  (authenticators: ReadonlyMap<string, Authenticator>, claims: JsonObject): Identify =>
  (_request, route) => {
    for (const name of route.authenticate) {
      const identity = authenticators.get(name)?.fromClaims?.(claims)
      if (identity !== undefined) return identity
    }
    return refuse('authenticate', 'unauthenticated', 'no authenticator of the route maps claims')
  }

const openSinks = (configuration: Configuration): { readonly opened: readonly Sink[] } | NotStarted => {
  const opened: Sink[] = []
  try {
    for (const open of configuration.sinks) opened.push(open())
    return { opened }
  } catch (error) {
    for (const sink of opened) sink.close()
    if (!(error instanceof SinkStartError)) throw error
    return notStarted(configuration, 'audit-sink', error.message)
  }
}

const openPorts = async (
  configuration: Configuration,
  listeners: readonly Listener[],
  ready: () => boolean,
): Promise<
  { addresses: readonly string[]; admin: Awaited<ReturnType<typeof startAdminServer>> | null } | NotStarted
> => {
  const addresses: string[] = []
  let admin: Awaited<ReturnType<typeof startAdminServer>> | null = null
  let bind = ''
  try {
    for (const [index, listener] of listeners.entries()) {
      bind = configuration.listeners[index]?.bind ?? ''
      addresses.push(await listener.listen())
    }
    bind = configuration.admin?.bind ?? ''
    if (configuration.admin !== null) admin = await startAdminServer(bind, ready)
    return { addresses, admin }
  } catch (error) {
    await Promise.all(listeners.slice(0, addresses.length).map((listener) => listener.close(0)))
    const why = error instanceof Error ? error.message : String(error)
    return notStarted(configuration, 'cannot-listen', `cannot listen on ${bind}: ${why}`)
  }
}

const notStarted = ({ file }: Configuration, rule: string, message: string): NotStarted => ({
  findings: [{ severity: 'error', rule, file, line: 1, column: 1, message }],
})
