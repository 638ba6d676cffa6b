import type { AdminDeps, ConfigStatus, EngineState, Exposition } from '../admin/admin-deps.ts'
import { createDecisionArchive, type DecisionFile } from '../admin/decisions/decision-archive.ts'
import { createExposition, type MetricsSources } from '../admin/metrics/exposition.ts'
import type { RevocationFeed } from '../gateway/decide/revocations/feed.ts'
import type { Sink } from '../gateway/record/sinks/sink.ts'
import type { Generation } from './generation.ts'
import type { StartOptions } from './options.ts'
import { replayOwnLogs } from './replay/replay-own-logs.ts'
import { redactionOf, type Telemetry } from './telemetry.ts'

/** What there is to see; each is asked for again whenever somebody looks. */
export interface Overview {
  readonly generation: () => Generation
  readonly configStatus: () => ConfigStatus
  readonly connections: () => number
  /** Open streams by kind. */
  readonly streams: () => Readonly<Record<string, number>>
  /** Why requests are not taken; empty when they are. */
  readonly unready: () => readonly string[]
}

/** What the admin port gets to see of a gateway. */
export const createAdminDeps = (
  overview: Overview,
  { traffic, ring }: Telemetry,
  feed: RevocationFeed,
  options: StartOptions,
): AdminDeps => {
  const { clock, log } = options
  const { generation, configStatus, unready, connections, streams } = overview
  return {
    settings: () => generation().configuration.admin,
    unready,
    engines: () => engineStates(generation()),
    configStatus,
    configuration: () => generation().configuration,
    explain: (asked) => generation().explain(asked),
    explainPast: (record) => generation().explainPast(record),
    replay: (asked, signal) => {
      const running = generation()
      return replayOwnLogs(asked, logsOf(running), running.configuration, options, signal)
    },
    ring,
    archive: createDecisionArchive({ ring, file: () => fileOf(generation()) }),
    heads: () => generation().heads.currentHeads(),
    feed,
    grants: () => generation().grants(),
    sharedGrants: () => generation().sharedGrants.find ?? null,
    metrics: onFirstUse({
      traffic,
      configStatus,
      isReady: () => unready().length === 0,
      connections,
      streams,
      engines: () => engineStates(generation()),
      upstreams: () =>
        [...generation().upstreams.values()].map(({ name, status }) => ({ name, status: status() })),
      grants: () => generation().grantStats(),
      sharedGrants: () => generation().sharedGrants.stats?.() ?? null,
      feed: feed.status,
      sinks: () =>
        generation().sinks.flatMap(({ name, stats }) =>
          stats === undefined ? [] : [{ name, stats: stats() }],
        ),
    }),
    clock,
    log,
  }
}

const engineStates = ({ engines }: Generation): readonly EngineState[] =>
  [...engines.values()].map(({ name, type, policyVersion, status }) => ({
    name,
    type,
    policyVersion: policyVersion(),
    status: status?.() ?? null,
  }))

/** Looking at the process costs a little all the time, which nobody should pay who has no admin port. */
const onFirstUse = (sources: MetricsSources): Exposition => {
  let made: Exposition | null = null
  const exposition = (): Exposition => {
    made ??= createExposition(sources)
    return made
  }
  return {
    get contentType() {
      return exposition().contentType
    },
    render: () => exposition().render(),
  }
}

const readable = ({ sinks }: Generation): Sink | undefined => sinks.find(({ file }) => file !== undefined)

/** The first log that can be read back, as each worker writes it. */
const logsOf = (generation: Generation): readonly string[] => {
  const { file, filesOfWorkers } = readable(generation) ?? {}
  return file === undefined ? [] : [...new Set(filesOfWorkers ?? [file])]
}

/** The first log that can be read back: what its own sink has redacted in it is redacted already. */
const fileOf = (generation: Generation): DecisionFile | null => {
  const sink = readable(generation)
  if (sink?.file === undefined) return null
  return { path: sink.file, redact: redactionOf(generation.sinks.filter((other) => other !== sink)) }
}
