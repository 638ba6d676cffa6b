import type { Configuration, Prepared } from '../config/configuration.ts'
import type { Clock } from '../core/clock.ts'
import type { JsonObject } from '../core/json.ts'
import type { Log } from '../core/log.ts'
import type { Preparation } from '../core/settings.ts'
import type { Authenticator } from '../gateway/authenticate/authenticator.ts'
import { createSeenTokens, type SeenTokens } from '../gateway/authenticate/signals/receiver.ts'
import { claimingTasks, createTasks, type Tasks } from '../gateway/bind/tasks.ts'
import type { Engine } from '../gateway/decide/engines/engine.ts'
import { createMemoryStore } from '../gateway/decide/grants/memory.ts'
import { createRedisContexts } from '../gateway/decide/grants/redis-contexts.ts'
import { createRedisGrants } from '../gateway/decide/grants/redis-grants.ts'
import type { GrantStats, GrantStore } from '../gateway/decide/grants/store.ts'
import { createTwoTiers } from '../gateway/decide/grants/two-tiers.ts'
import { createRedisLink } from '../gateway/decide/redis/link.ts'
import { createMac } from '../gateway/decide/redis/mac.ts'
import type { OnPublished } from '../gateway/decide/revocations/feed.ts'
import type { AssertionKey, AssertionSettings } from '../gateway/enforce/assertion-key.ts'
import { createJwsSigner } from '../gateway/enforce/compact-jws.ts'
import type { OwnedUpstream, Upstream } from '../gateway/enforce/upstreams.ts'
import { type Explanation, explain, type Identify } from '../gateway/explain.ts'
import { explainRecord, type PastExplanation } from '../gateway/explain-record.ts'
import type { AskedRequest } from '../gateway/explain-request.ts'
import type { Stages } from '../gateway/pipeline.ts'
import { createHeads, type Heads } from '../gateway/record/heads.ts'
import type { Sink } from '../gateway/record/sinks/sink.ts'
import { identifyAs } from './assumed-identity.ts'
import { composeDecide, composeGrantKeyReader, composeRecord, composeStages, type Parts } from './compose.ts'
import { explainedListener, explainTools } from './explain-tools.ts'
import { createInFlight } from './in-flight.ts'
import { createInstances, createShare, type Hold, type Instances } from './instances.ts'
import { createMarkRecord } from './mark-record.ts'
import type { StartOptions } from './options.ts'
import { createRevocations, type Revocations } from './revocations.ts'
import { createSharedState, type SharedState } from './shared-state.ts'
import { createOpenSinks, type OpenSinks } from './sinks.ts'
import { createTelemetry, type Telemetry } from './telemetry.ts'

/** What outlives a single configuration. */
export interface Estate {
  readonly share: Preparation['share']
  readonly authenticators: Instances<Authenticator>
  readonly engines: Instances<Engine>
  readonly upstreams: Instances<OwnedUpstream>
  readonly stores: Instances<GrantStore>
  readonly heads: Instances<Heads>
  readonly revocations: Revocations
  readonly shared: SharedState
  readonly seenTokens: SeenTokens
  readonly tasks: Tasks
  readonly sinks: OpenSinks
  readonly telemetry: Telemetry
  /** The assertion key that no file gave: the first that was made. */
  readonly generatedKey: (make: () => AssertionKey) => AssertionKey
  /** Resolves when all that was let go of is closed; cuts upstream connections that take longer. */
  readonly settled: (cutAfterMs: number) => Promise<void>
}

export const createEstate = ({
  clock,
  log,
  place,
}: Pick<StartOptions, 'clock' | 'log' | 'place'>): Estate => {
  const closing = new Set<Promise<unknown>>()
  const cut = new AbortController()
  let generated: AssertionKey | null = null
  const shared = createSharedState({ clock, log, ...(place === undefined ? {} : { use: place.use }) })
  const later = (closed: unknown): void => {
    if (!(closed instanceof Promise)) return
    const settled = closed
      .catch((error: unknown) => log.error({ stack: stackOf(error) }, 'closing what an edit removed failed'))
      .finally(() => closing.delete(settled))
    closing.add(settled)
  }
  return {
    share: createShare(),
    authenticators: createInstances((authenticator) => authenticator.close?.()),
    engines: createInstances((engine) => later(engine.close?.())),
    upstreams: createInstances((upstream) => later(upstream.close(cut.signal))),
    stores: createInstances((store) => store.close?.()),
    heads: createInstances((heads) => heads.close()),
    seenTokens: createSeenTokens(shared.uses),
    tasks: createTasks(clock, shared.tasks),
    revocations: createRevocations({ clock, log, ...(place === undefined ? {} : { peers: place.peers }) }),
    shared,
    sinks: createOpenSinks(log, later),
    telemetry: createTelemetry(),
    generatedKey: (make) => {
      generated ??= make()
      return generated
    },
    settled: async (cutAfterMs) => {
      const timer = setTimeout(() => cut.abort(), cutAfterMs)
      while (closing.size > 0) await Promise.all(closing)
      clearTimeout(timer)
    },
  }
}

const stackOf = (error: unknown): string => (error instanceof Error ? (error.stack ?? '') : String(error))

/** One configuration at work, with all that it uses. */
export interface Generation {
  readonly configuration: Configuration
  readonly stages: Stages
  readonly heads: Heads
  readonly sinks: readonly Sink[]
  readonly engines: ReadonlyMap<string, Engine>
  readonly upstreams: ReadonlyMap<string, Upstream>
  readonly grantStats: () => GrantStats
  readonly grants: GrantStore['list']
  readonly sharedGrants: {
    readonly find: GrantStore['findShared']
    readonly stats: GrantStore['sharedStats']
  }
  readonly identifyByClaims: (claims: JsonObject) => Identify
  /** Records what was published or withdrawn. */
  readonly recordMark: OnPublished
  /** Takes a request the whole way, without recording or forwarding it, and without keeping what was decided. */
  readonly explain: (asked: AskedRequest) => Promise<Explanation>
  /** As `explain`, going by another clock. */
  readonly explainBy: (clock: Clock) => Generation['explain']
  /** Ids of the policies of each engine that holds its own. */
  readonly policyIds: () => ReadonlyMap<string, readonly string[]>
  /** Explains a record of the decision log. */
  readonly explainPast: (record: JsonObject) => PastExplanation
  /** Lets go of what it uses once the last request that began by it has ended. */
  readonly retire: () => void
  /** Lets go of it now. */
  readonly discard: () => void
}

/**
 * Builds the stages of a configuration from what is there already and what has to be made.
 *
 * @param sinks are the generation's own from here on, also when this throws.
 * @throws for bugs only; nothing is held then.
 */
export const createGeneration = (
  configuration: Configuration,
  sinks: readonly Hold<Sink>[],
  estate: Estate,
  { clock, log, place }: Pick<StartOptions, 'clock' | 'log' | 'place'>,
): Generation => {
  // Closed from the last one to the first: heads are read off the sinks once more.
  const releases: (() => void)[] = sinks.map(({ release }) => release)
  const discard = (): void => {
    for (const release of releases.splice(0).reverse()) release()
  }
  const use = <T>(hold: Hold<T>): T => {
    releases.push(hold.release)
    return hold.value
  }
  const useAll = <T>(
    prepared: ReadonlyMap<string, Prepared<T>>,
    instances: Instances<T>,
  ): ReadonlyMap<string, T> =>
    new Map(
      [...prepared].map(([name, { fingerprint, create }]) => {
        return [name, use(instances.take(`${name} ${fingerprint}`, create))]
      }),
    )
  try {
    const inFlight = createInFlight()
    const authenticators = useAll(configuration.authenticators, estate.authenticators)
    const assertion = assertionOf(configuration, estate)
    const open = sinks.map(({ value }) => value)
    const makeHeads = (): Heads => {
      const sign = createJwsSigner(assertion.key, 'sallyport-audit-head+jwt')
      return createHeads({ sinks: open, signer: { sign }, log, clock })
    }
    const headsKey = JSON.stringify([assertion.key.kid, configuration.sinks.map((each) => each.fingerprint)])
    const heads = use(estate.heads.take(headsKey, makeHeads))
    const engines = useAll(configuration.engines, estate.engines)
    const store = use(storeOf(configuration, estate, clock, log))
    const upstreams = useAll(configuration.upstreams, estate.upstreams)
    const { feed } = estate.revocations
    const { traffic, ring } = estate.telemetry
    const parts: Parts = {
      sinks: open,
      onRecorded: heads.recorded,
      ring: configuration.admin === null ? null : ring,
      worker: place?.index ?? 0,
      clock,
      authenticators,
      engines,
      upstreams,
      store,
      feed,
      seenTokens: estate.seenTokens,
      tasks: estate.tasks,
      assertion,
      traffic,
      usage: inFlight.usage,
      whenRetired: (close) => releases.push(close),
      log,
    }
    const stages = composeStages(configuration, parts)
    const readGrantKey = composeGrantKeyReader(configuration, { engines, store, feed, clock })
    const tools = explainTools(configuration, engines, readGrantKey)
    const listenerFor = explainedListener(configuration)
    const explainingBy = (by: Clock): Stages => {
      const all = by === clock ? stages : composeStages(configuration, { ...parts, clock: by })
      return {
        ...all,
        bind: (...args) => estate.tasks.peeking(() => all.bind(...args)),
        decide: composeDecide(configuration, { engines, store: unchanged(store), feed, clock: by }),
      }
    }
    const explainBy = (by: Clock): Generation['explain'] => {
      const explaining = explainingBy(by)
      return async ({ exchange, ip, claims, subject, authenticator }) => {
        inFlight.usage.began()
        try {
          const asked = exchange(listenerFor(ip))
          if (claims === null && subject === undefined) return await explain(explaining, asked, tools)
          const assumed = { claims: claims ?? {}, subject, authenticator }
          return await explain(explaining, asked, {
            ...tools,
            identify: identifyAs(authenticators, assumed, by),
          })
        } finally {
          inFlight.usage.ended(0)
        }
      }
    }
    const identify = (claims: JsonObject): Identify => identifyAs(authenticators, { claims }, clock)
    return {
      configuration,
      stages: { ...stages, authenticate: claimingTasks(stages.authenticate, estate.tasks) },
      heads,
      sinks: open,
      engines,
      upstreams,
      grantStats: store.stats,
      grants: store.list,
      sharedGrants: { find: store.findShared, stats: store.sharedStats },
      identifyByClaims: identify,
      recordMark: createMarkRecord(composeRecord(configuration, parts).write, clock, log),
      explain: explainBy(clock),
      explainBy,
      policyIds: () =>
        new Map([...engines].flatMap(([name, { policyIds }]) => (policyIds ? [[name, policyIds]] : []))),
      explainPast: (record) => explainRecord(record, tools),
      retire: () => inFlight.whenIdle(discard),
      discard,
    }
  } catch (bug) {
    discard()
    throw bug
  }
}

const assertionOf = (configuration: Configuration, estate: Estate): AssertionSettings => {
  const { assertion, assertionSettings } = configuration
  if (assertion.keyFile !== undefined) return assertionSettings()
  const key = estate.generatedKey(() => assertionSettings().key)
  return { issuer: assertion.issuer, ttlMs: assertion.ttl, key }
}

// What else `grants` says is part of each grant's key.
const storeOf = (
  { grants, redis }: Configuration,
  estate: Estate,
  clock: Clock,
  log: Log,
): Hold<GrantStore> => {
  const { maxEntries, maxBytes } = grants
  return estate.stores.take(JSON.stringify([redis?.fingerprint, maxEntries, maxBytes]), () => {
    const memory = createMemoryStore({ clock, maxEntries, maxBytes, marks: estate.revocations.feed })
    if (redis === null) return memory
    const link = createRedisLink(redis, { timeoutMs: redis.commandTimeoutMs, name: 'grants', log, clock })
    const { keyPrefix, macKey, commandTimeoutMs } = redis
    const mac = createMac(macKey)
    const shared = createRedisGrants({ link, keyPrefix, mac, clock })
    const swapContext = createRedisContexts({ link, keyPrefix, mac })
    return createTwoTiers(memory, shared, { swapContext, sharedTimeoutMs: commandTimeoutMs })
  })
}

/** What is asked only to be explained leaves no grant behind: nobody has been told of that decision. */
const unchanged = (store: GrantStore): GrantStore => ({
  ...store,
  isReadOnly: true,
  put: () => undefined,
  keep: () => undefined,
  delete: () => undefined,
})
