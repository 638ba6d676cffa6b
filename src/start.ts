import { parseRecord } from './admin/decisions/decision-reader.ts'
import type { Configuration } from './config/configuration.ts'
import { type LoadOptions, loadConfiguration } from './config/load.ts'
import type { JsonObject } from './core/json.ts'
import type { Tasks } from './gateway/bind/tasks.ts'
import { grantFacts } from './gateway/decide/grants/grant-facts.ts'
import { covers } from './gateway/decide/revocations/covers.ts'
import type { RevocationFeed } from './gateway/decide/revocations/feed.ts'
import type { Explanation, Identify } from './gateway/explain.ts'
import type { PastExplanation } from './gateway/explain-record.ts'
import type { AskedRequest } from './gateway/explain-request.ts'
import { createPdp } from './gateway/pdp.ts'
import { createPipeline, type Stages } from './gateway/pipeline.ts'
import { findRecordLine } from './gateway/record/find-record.ts'
import type { Head } from './gateway/record/heads.ts'
import type { StreamFacts } from './gateway/stream-lease.ts'
import { createStreams, type Streams } from './gateway/streams.ts'
import { createAdminDeps, type Overview } from './start/admin-deps.ts'
import { failedTests } from './start/edit-tests.ts'
import { createEstate, createGeneration, type Estate, type Generation } from './start/generation.ts'
import { type NotStarted, notStarted, type StartOptions } from './start/options.ts'
import { createPorts, type Ports } from './start/ports.ts'
import {
  type ConfigStatus,
  createReloader,
  loadSettled,
  type Reloader,
  type ReloadOutcome,
} from './start/reloader.ts'
import { prepareShared } from './start/shared-state.ts'
import { createFileWatcher, type FileWatcher } from './start/watch.ts'

export interface Gateway {
  /** `host:port` of every listener, in the order of the configuration that runs. */
  readonly addresses: readonly string[]
  readonly adminAddress: string | null
  readonly configuration: () => Configuration
  /** What decides now. To be asked for again at each request: an edit replaces it. */
  readonly current: () => Stages
  /** What stands in for the authenticators when claims are taken as verified. */
  readonly identifyByClaims: (claims: JsonObject) => Identify
  readonly configStatus: () => ConfigStatus
  /** The ends of the decision logs, signed. */
  readonly heads: () => readonly Head[]
  /** Takes up an edit at once. Never rejects: what is wrong with it is in the outcome. */
  readonly reload: () => Promise<ReloadOutcome>
  /** Calls back after each reload; the result stops that. */
  readonly onReload: (listener: (outcome: ReloadOutcome) => void) => () => void
  /** Readiness goes off, requests in flight finish within `drainTimeout`, logs are flushed. */
  readonly close: () => Promise<void>
}

/**
 * The composition root: configuration, stages, listeners, and edits while they run.
 *
 * @returns the findings instead, when the configuration has an error, an address cannot be bound, or a log cannot
 *   be written.
 */
export const startGateway = async (options: StartOptions): Promise<Gateway | NotStarted> => {
  const { file, clock, log } = options
  const estate = createEstate(options)
  const { place } = options
  const worker = place === undefined ? {} : { worker: place.index, workers: place.count }
  const kept = { share: estate.share, sharedUses: estate.shared.uses, sharedValues: estate.shared.values }
  const load = (whileWanted?: LoadOptions['whileWanted']) =>
    loadConfiguration(file, { ...options, ...worker, ...kept, ...(whileWanted && { whileWanted }) })
  const listeners = new Set<(outcome: ReloadOutcome) => void>()
  let reloader: Reloader | null = null
  const watcher = createWatcher(options, () => void reloader?.reloadIfChanged())
  const loaded = await loadSettled({ load, watch: watcher.watch })
  const started = await startLoaded(loaded, estate, options)
  if ('findings' in started) {
    watcher.close()
    return started
  }
  const { running, sources } = started
  reloader = createReloader(
    { configuration: running.generation.configuration, sources },
    {
      load,
      watch: watcher.watch,
      apply: (configuration) => apply(configuration, running, estate, options),
      file,
      clock,
      log,
      onOutcome: (outcome) => {
        for (const listener of listeners) listener(outcome)
      },
    },
  )
  running.status = reloader.status
  // What was edited while the ports were opened.
  if (options.watch !== null) void reloader.reloadIfChanged()
  return gatewayOf(running, estate, reloader, listeners, watcher, options)
}

/** The one reference that an edit exchanges. */
interface Running {
  generation: Generation
  readonly ports: Ports
  state: 'starting' | 'serving' | 'draining'
  status: () => ConfigStatus
}

const NO_WATCHER: FileWatcher = { watch: () => undefined, close: () => undefined }

const createWatcher = ({ watch, log }: StartOptions, onChange: () => void): FileWatcher =>
  watch === null ? NO_WATCHER : createFileWatcher(onChange, log, watch)

const startLoaded = async (
  loaded: Awaited<ReturnType<typeof loadSettled>>,
  estate: Estate,
  options: StartOptions,
) => {
  const { file, clock, log } = options
  if (loaded === null) return notStarted(file, 'unsettled', 'the files of the configuration keep changing')
  const { configuration, findings, sources } = loaded
  if (configuration === null) return { findings }
  for (const { message, file: place, line } of findings) log.warn({ file: place, line }, message)
  const feed = await prepareShared(configuration, estate)
  if ('failed' in feed) return notStarted(file, 'revocation-feed', feed.failed)
  const generation = build(configuration, estate, options)
  if ('findings' in generation) {
    feed.discard()
    return generation
  }
  feed.commit()
  const current = (): Stages => running.generation.stages
  const streams = createStreams({ current, clock, log })
  const pipeline = createPipeline({ current, streams, clock, log })
  const overview: Overview = {
    generation: () => running.generation,
    configStatus: () => running.status(),
    connections: () => running.ports.connections(),
    streams: streams.counts,
    unready: () => {
      if (running.state !== 'serving') return [running.state]
      const { unready } = estate.revocations.feed.status()
      return unready === null ? [] : [unready]
    },
  }
  const admin = createAdminDeps(overview, estate.telemetry, estate.revocations.feed, options)
  const pdp = createPdp({ current: () => running.generation.stages, clock, log })
  const ports = createPorts({ pipeline, pdp, admin, clock, log, place: options.place ?? null })
  const appliedAt = new Date(clock.nowMs()).toISOString()
  const status: ConfigStatus = { version: configuration.version, appliedAt, rejected: null }
  const running: Running = { generation, ports, state: 'starting', status: () => status }
  endRevokedStreams(estate.revocations.feed, streams, estate.tasks)
  estate.revocations.recordBy((what, mark, by) => running.generation.recordMark(what, mark, by))
  const change = await ports.open(configuration)
  if ('findings' in change) {
    generation.discard()
    estate.revocations.close()
    estate.shared.close()
    await estate.settled(0)
    return change
  }
  change.commit()
  running.state = 'serving'
  const addresses = ports.addresses()
  const fields = { addresses, admin: ports.adminAddress(), config: configuration.version }
  log.info(fields, options.place === undefined ? 'listening' : 'a worker is ready')
  return { running, sources }
}

/** Ends what a mark covers, wherever it was published. */
const endRevokedStreams = (feed: RevocationFeed, streams: Streams, tasks: Tasks): void => {
  for (const { kind, target } of feed.list()) if (kind === 'task') tasks.completed(target)
  feed.onMark((mark) => {
    const isCovered = ({ identity, bound, grant }: StreamFacts): boolean =>
      covers(mark, grantFacts(grant, identity, bound.accessRequests, bound.task?.id))
    if (mark.kind === 'task') tasks.completed(mark.target)
    streams.revoke(isCovered, `mark ${mark.id} covers it: ${mark.reason}`, mark.kind)
  })
}

const build = (
  configuration: Configuration,
  estate: Estate,
  options: StartOptions,
): Generation | NotStarted => {
  const sinks = estate.sinks.open(configuration.sinks)
  if ('failed' in sinks) return notStarted(configuration.file, 'audit-sink', sinks.failed)
  return createGeneration(configuration, sinks, estate, options)
}

/** Opens and builds all that is new, and only then exchanges the one reference. */
const apply = async (
  configuration: Configuration,
  running: Running,
  estate: Estate,
  options: StartOptions,
): Promise<NotStarted | null> => {
  const { workers } = running.generation.configuration
  if (configuration.workers !== workers) {
    const message = `found workers: ${configuration.workers} while there are ${workers}, expected a restart for that`
    return notStarted(configuration.file, 'workers-changed', message)
  }
  const feed = await prepareShared(configuration, estate)
  if ('failed' in feed) return notStarted(configuration.file, 'revocation-feed', feed.failed)
  const ports = await running.ports.open(configuration)
  if ('findings' in ports) {
    feed.discard()
    return ports
  }
  const before = running.generation
  try {
    const generation = build(configuration, estate, options)
    const refused = 'findings' in generation ? generation : await failedTests(generation, options)
    if ('findings' in generation || refused !== null) {
      if (!('findings' in generation)) generation.discard()
      feed.discard()
      await ports.undo()
      return refused
    }
    running.generation = generation
    feed.commit()
    ports.commit()
    before.retire()
    return null
  } catch (bug) {
    if (running.generation === before) feed.discard()
    await ports.undo()
    throw bug
  }
}

const gatewayOf = (
  running: Running,
  estate: Estate,
  reloader: Reloader,
  listeners: Set<(outcome: ReloadOutcome) => void>,
  watcher: FileWatcher,
  { log }: StartOptions,
): Gateway => ({
  get addresses() {
    return running.ports.addresses()
  },
  get adminAddress() {
    return running.ports.adminAddress()
  },
  configuration: () => running.generation.configuration,
  current: () => running.generation.stages,
  identifyByClaims: (claims) => running.generation.identifyByClaims(claims),
  configStatus: reloader.status,
  heads: () => running.generation.heads.currentHeads(),
  reload: reloader.reload,
  onReload: (listener) => {
    listeners.add(listener)
    return () => listeners.delete(listener)
  },
  close: async () => {
    running.state = 'draining'
    watcher.close()
    const { drainTimeoutMs } = running.generation.configuration
    log.info({ drainTimeoutMs }, 'draining')
    await reloader.stop()
    await running.ports.close(drainTimeoutMs)
    running.generation.retire()
    await estate.settled(1000)
    estate.revocations.close()
    estate.shared.close()
    await running.ports.closeAdmin()
    log.info({}, 'stopped')
  },
})

/**
 * Loads a configuration and takes one request the whole way by it, without recording or forwarding it.
 */
export const explainRequest = async (
  options: StartOptions,
  asked: AskedRequest,
): Promise<Explanation | NotStarted> => {
  const { configuration, findings } = await loadConfiguration(options.file, options)
  if (configuration === null) return { findings }
  const estate = createEstate(options)
  const generation = createGeneration(configuration, [], estate, options)
  try {
    return await generation.explain(asked)
  } finally {
    generation.discard()
    await estate.settled(0)
  }
}

/**
 * Explains a decision of the past by what its record kept.
 *
 * @param log of which the record is one; null: those that the configuration writes.
 * @returns null when no log has it. Throws what the system says of a log that cannot be read.
 */
export const explainDecision = async (
  options: StartOptions,
  id: string,
  log: string | null,
): Promise<PastExplanation | NotStarted | null> => {
  const { configuration, findings } = await loadConfiguration(options.file, options)
  if (configuration === null) return { findings }
  const logs = log === null ? configuration.sinks.flatMap(({ create }) => create.log ?? []) : [log]
  for (const path of logs) {
    const line = await findRecordLine(path, id)
    const record = line === null ? null : parseRecord(line)
    if (record === null) continue
    const estate = createEstate(options)
    const generation = createGeneration(configuration, [], estate, options)
    try {
      return generation.explainPast(record)
    } finally {
      generation.discard()
      await estate.settled(0)
    }
  }
  return null
}
