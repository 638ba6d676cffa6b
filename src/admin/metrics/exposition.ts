import { Counter, collectDefaultMetrics, Gauge, type Metric, Registry } from 'prom-client'
import type { EngineStatus } from '../../gateway/decide/engines/engine.ts'
import type { SharedStats } from '../../gateway/decide/grants/store.ts'
import type { FeedStatus } from '../../gateway/decide/revocations/feed.ts'
import type { UpstreamStatus } from '../../gateway/enforce/upstreams.ts'
import type { SinkStats } from '../../gateway/record/sinks/sink.ts'
import type { ConfigStatus, EngineState, Exposition } from '../admin-deps.ts'
import type { DurationTally } from './duration-tally.ts'
import type { Traffic } from './traffic.ts'

/** What is looked at when somebody asks for the metrics. */
export interface MetricsSources {
  readonly traffic: Traffic
  readonly configStatus: () => ConfigStatus
  readonly isReady: () => boolean
  /** Connections of callers that are open. */
  readonly connections: () => number
  /** Open streams by kind. */
  readonly streams: () => Readonly<Record<string, number>>
  readonly grants: () => GrantCounts
  /** Null: grants are not shared. */
  readonly sharedGrants: () => SharedStats | null
  readonly feed: () => FeedStatus
  readonly engines: () => readonly EngineState[]
  readonly upstreams: () => readonly { readonly name: string; readonly status: UpstreamStatus }[]
  readonly sinks: () => readonly { readonly name: string; readonly stats: SinkStats }[]
}

export interface GrantCounts {
  readonly entries: number
  readonly hits: number
  readonly misses: number
}

/** The metrics of this process in a registry of their own; nothing is kept in it between two scrapes. */
export const createExposition = (sources: MetricsSources): Exposition => {
  const registry = new Registry()
  addTraffic(registry, sources)
  addConfiguration(registry, sources)
  addGrants(registry, sources)
  addRevocations(registry, sources)
  addSinks(registry, sources)
  addEngines(registry, sources)
  addUpstreams(registry, sources)
  collectDefaultMetrics({ register: registry })
  return { contentType: registry.contentType, render: () => registry.metrics() }
}

type Row = readonly [labels: Readonly<Record<string, string>>, value: number]

const addTraffic = (registry: Registry, { traffic, connections, streams }: MetricsSources): void => {
  const decisionLabels = ['decision', 'code', 'source', 'route']
  counter(registry, 'sallyport_decisions_total', 'Decisions, as they are recorded.', decisionLabels, () =>
    traffic.decisions().map(({ count, ...labels }): Row => [labels, count]),
  )
  counter(
    registry,
    'sallyport_observed_denials_total',
    'Decisions other than allow whose request was forwarded all the same (mode: observe).',
    ['code', 'source', 'route'],
    () => traffic.observed().map(({ code, source, route, count }): Row => [{ code, source, route }, count]),
  )
  counter(
    registry,
    'sallyport_upstream_failures_total',
    'Allowed requests that the application did not answer.',
    ['upstream', 'code'],
    () => traffic.upstreamFailures().map(({ count, ...labels }): Row => [labels, count]),
  )
  counter(
    registry,
    'sallyport_coalesced_refusals_total',
    'Refusals that the decision log has only as a count.',
    [],
    () => [[{}, traffic.coalescedRefusals()]],
  )
  counter(
    registry,
    'sallyport_stream_ends_total',
    'Ends of WebSockets, event streams and long transfers, by who or what ended them.',
    ['kind', 'reason'],
    () => traffic.streamEnds().map(({ count, ...labels }): Row => [labels, count]),
  )
  const { authenticate, decide, request } = traffic.durations
  histogram(
    registry,
    'sallyport_authenticate_duration_seconds',
    'Time to find out who the caller is.',
    authenticate,
  )
  histogram(registry, 'sallyport_decide_duration_seconds', 'Time to decide, by a grant or an engine.', decide)
  histogram(
    registry,
    'sallyport_request_duration_seconds',
    'Time from the head of a request to the end of its answer, streams included.',
    request,
  )
  gauge(registry, 'sallyport_requests_in_flight', 'Requests that are not answered yet.', [], () => [
    [{}, traffic.inFlight()],
  ])
  gauge(registry, 'sallyport_streams', 'What was let through and has not ended.', ['kind'], () =>
    Object.entries(streams()).map(([kind, count]): Row => [{ kind }, count]),
  )
  gauge(registry, 'sallyport_connections', 'Open connections of callers.', [], () => [[{}, connections()]])
}

const addConfiguration = (registry: Registry, { configStatus, isReady }: MetricsSources): void => {
  gauge(registry, 'sallyport_ready', '1 while requests are taken.', [], () => [[{}, isReady() ? 1 : 0]])
  gauge(registry, 'sallyport_config_info', 'The version of the configuration that runs.', ['version'], () => [
    [{ version: configStatus().version }, 1],
  ])
  gauge(
    registry,
    'sallyport_config_rejected',
    '1 while what is in the files is not what runs, since something is wrong with it.',
    [],
    () => [[{}, configStatus().rejected === null ? 0 : 1]],
  )
  gauge(
    registry,
    'sallyport_config_applied_timestamp_seconds',
    'When the configuration that runs was taken over.',
    [],
    () => [[{}, Date.parse(configStatus().appliedAt) / 1000]],
  )
}

const addGrants = (registry: Registry, { grants }: MetricsSources): void => {
  gauge(registry, 'sallyport_grants', 'Grants in memory.', [], () => [[{}, grants().entries]])
  counter(
    registry,
    'sallyport_grant_lookups_total',
    'Times that a grant was looked for in memory.',
    ['result'],
    () => {
      const { hits, misses } = grants()
      return [
        [{ result: 'hit' }, hits],
        [{ result: 'miss' }, misses],
      ]
    },
  )
}

const addEngines = (registry: Registry, { engines }: MetricsSources): void => {
  const rows = (rowsOf: (engine: string, status: EngineStatus) => readonly Row[]) => (): readonly Row[] =>
    engines().flatMap(({ name, status }) => (status === null ? [] : rowsOf(name, status)))
  gauge(
    registry,
    'sallyport_engine_reachable',
    '1 when the engine answered when it was last asked; not there before it was.',
    ['engine'],
    rows((engine, { reachable }) => (reachable === null ? [] : [[{ engine }, reachable ? 1 : 0]])),
  )
  gauge(
    registry,
    'sallyport_engine_breaker_open',
    '1 while requests are refused without asking the engine, since it keeps failing.',
    ['engine'],
    rows((engine, { breakerOpen }) => [[{ engine }, breakerOpen ? 1 : 0]]),
  )
  counter(
    registry,
    'sallyport_engine_answers_total',
    'Times that the engine was asked, by what came of it.',
    ['engine', 'result'],
    rows((engine, { answers, failures }) => [
      [{ engine, result: 'answered' }, answers],
      [{ engine, result: 'failed' }, failures],
    ]),
  )
  gauge(
    registry,
    'sallyport_engine_info',
    'The version of the policies by which each engine decides.',
    ['engine', 'type', 'policy_version'],
    () =>
      engines().map(
        ({ name, type, policyVersion }): Row => [{ engine: name, type, policy_version: policyVersion }, 1],
      ),
  )
}

const addUpstreams = (registry: Registry, { upstreams }: MetricsSources): void => {
  gauge(
    registry,
    'sallyport_upstream_origin_up',
    '0 while an origin is left out, since it keeps failing.',
    ['upstream', 'origin'],
    () =>
      upstreams().flatMap(({ name, status: { origins } }) =>
        origins.map(({ authority, isOut }): Row => [{ upstream: name, origin: authority }, isOut ? 0 : 1]),
      ),
  )
  counter(
    registry,
    'sallyport_upstream_retries_total',
    'Times that a request was sent once more, or to another origin, since the first one failed.',
    ['upstream'],
    () => upstreams().map(({ name, status: { retries } }): Row => [{ upstream: name }, retries]),
  )
}

const addRevocations = (registry: Registry, { feed, sharedGrants }: MetricsSources): void => {
  gauge(registry, 'sallyport_revocation_feed_fresh', '1 while grants serve.', [], () => [
    [{}, feed().freshness === 'fresh' ? 1 : 0],
  ])
  gauge(
    registry,
    'sallyport_revocation_feed_age_seconds',
    'How old the latest is that is known of the revocation feed.',
    [],
    () => [[{}, feed().staleMs / 1000]],
  )
  gauge(registry, 'sallyport_revocation_marks', 'Marks in force.', [], () => [[{}, feed().marks]])
  counter(registry, 'sallyport_revocation_marks_applied_total', 'Marks that were applied here.', [], () => [
    [{}, feed().applied],
  ])
  counter(
    registry,
    'sallyport_shared_grant_lookups_total',
    'Times that a grant was looked for in Redis; failure: no answer in time, skipped: not asked after failures.',
    ['result'],
    () => {
      const shared = sharedGrants()
      if (shared === null) return []
      return [
        [{ result: 'hit' }, shared.hits],
        [{ result: 'miss' }, shared.misses],
        [{ result: 'failure' }, shared.failures],
        [{ result: 'skipped' }, shared.skipped],
      ]
    },
  )
}

const addSinks = (registry: Registry, { sinks }: MetricsSources): void => {
  const rows = (rowsOf: (sink: string, stats: SinkStats) => readonly Row[]) => (): readonly Row[] =>
    sinks().flatMap(({ name, stats }) => rowsOf(name, stats))
  counter(
    registry,
    'sallyport_audit_records_total',
    'Records by what became of them: written, failed (the request was refused), dropped.',
    ['sink', 'result'],
    rows((sink, { written, failed, dropped }) => [
      [{ sink, result: 'written' }, written],
      [{ sink, result: 'failed' }, failed],
      [{ sink, result: 'dropped' }, dropped],
    ]),
  )
  counter(
    registry,
    'sallyport_audit_delivered_total',
    'Records that a collector has acknowledged.',
    ['sink'],
    rows((sink, { delivered }) => (delivered === undefined ? [] : [[{ sink }, delivered]])),
  )
  counter(
    registry,
    'sallyport_audit_refused_total',
    'Records that a collector will not take, set aside in the spool.',
    ['sink'],
    rows((sink, { refused }) => (refused === undefined ? [] : [[{ sink }, refused]])),
  )
  gauge(
    registry,
    'sallyport_audit_spool_records',
    'Records that wait for a collector.',
    ['sink'],
    rows((sink, { spoolRecords }) => (spoolRecords === undefined ? [] : [[{ sink }, spoolRecords]])),
  )
  gauge(
    registry,
    'sallyport_audit_spool_bytes',
    'Their bytes on this disk.',
    ['sink'],
    rows((sink, { spoolBytes }) => (spoolBytes === undefined ? [] : [[{ sink }, spoolBytes]])),
  )
}

const counter = (
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly string[],
  read: () => readonly Row[],
): void => {
  const metric: Counter = new Counter({
    name,
    help,
    labelNames: [...labelNames],
    registers: [registry],
    collect: () => {
      metric.reset()
      for (const [labels, value] of read()) metric.inc(labels, value)
    },
  })
}

const gauge = (
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly string[],
  read: () => readonly Row[],
): void => {
  const metric: Gauge = new Gauge({
    name,
    help,
    labelNames: [...labelNames],
    registers: [registry],
    collect: () => {
      metric.reset()
      for (const [labels, value] of read()) metric.set(labels, value)
    },
  })
}

/** prom-client's own histogram counts by itself, which costs more than all the rest of a request's counts. */
const histogram = (registry: Registry, name: string, help: string, tally: DurationTally): void => {
  const get = async () => {
    const { buckets, count, sumSeconds } = tally.read()
    const bucket = (le: number | '+Inf', value: number) => ({
      metricName: `${name}_bucket`,
      labels: { le },
      value,
    })
    const values = [
      ...buckets.map(([bound, value]) => bucket(bound, value)),
      bucket('+Inf', count),
      { metricName: `${name}_sum`, labels: {}, value: sumSeconds },
      { metricName: `${name}_count`, labels: {}, value: count },
    ]
    return { name, help, type: 'histogram', values, aggregator: 'sum' }
  }
  // A registry asks a metric for nothing but its name and this; the type names the classes that come with it.
  registry.registerMetric({ name, get } as unknown as Metric)
}
