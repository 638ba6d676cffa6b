import { resolve } from 'node:path'
import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import type { Finding } from '../core/problem.ts'
import type { Preparation } from '../core/settings.ts'
import { NOTHING_SHARED, type SharedUses } from '../core/shared-uses.ts'
import { NO_SHARED_VALUES, type SharedValues } from '../core/shared-values.ts'
import { checkResources } from '../gateway/authenticate/resource-metadata.ts'
import { tellAskedRoutes } from './checks/asked-routes.ts'
import { checkConfinement, checkConfinementEntry } from './checks/confinement.ts'
import { checkListeners } from './checks/listeners.ts'
import { checkNames } from './checks/names.ts'
import { checkCompleteness } from './checks/route-completeness.ts'
import { checkRouteNames } from './checks/route-names.ts'
import { checkSharedSessions } from './checks/shared-sessions.ts'
import { checkWorkers, workerCount } from './checks/workers.ts'
import { compileDrafts } from './compile-routes.ts'
import type { Configuration, LoadResult } from './configuration.ts'
import { type DecisionTest, findDecisionTests, readDecisionTests } from './decision-tests/read.ts'
import { createFileStore } from './file-store.ts'
import { sortFindings } from './format-finding.ts'
import { lint } from './lint/lint.ts'
import { createLintable, type Lintable } from './lint/lintable.ts'
import { below, child } from './parse-part.ts'
import type { Loading } from './preparation.ts'
import { inform } from './preparation.ts'
import { prepareEntries } from './prepare-entries.ts'
import { type GatewayFile, readGateway } from './read-gateway.ts'
import { type RouteMap, readRouteMaps } from './read-route-maps.ts'
import { draftRoutes } from './route-drafts.ts'
import { createSettings } from './settings.ts'
import { type Sources, sourcesOf } from './sources.ts'
import { readYamlSource, type YamlSource } from './yaml-file.ts'

/** What a configuration is loaded with. */
export interface LoadOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  readonly log: Log
  /** Also finds what is no mistake and a reviewer should see; default false. */
  readonly lint?: boolean
  /** Where what outlives an edit is kept; by default nothing does. */
  readonly share?: Preparation['share']
  /** What all gateways remember together; by default nothing is. */
  readonly sharedUses?: SharedUses
  /** What all gateways keep together; default nothing. */
  readonly sharedValues?: SharedValues
  /** Number of this process among several; left out: it is the only one. */
  readonly worker?: number
  /** How many there are, default one. */
  readonly workers?: number
  /**
   * Told what was read so far before what takes long; the signal is aborted when the rest is not wanted any more.
   * Then there is no configuration, and no finding about that. Left out: it is wanted.
   */
  readonly whileWanted?: (read: Sources) => AbortSignal
  /** What files hold in place of what is on the disk, by their absolute paths; default nothing. */
  readonly instead?: ReadonlyMap<string, string>
  /** Files of decision tests to read, or those that are found; by default those that an edit must pass. */
  readonly decisionTests?: readonly string[] | 'found'
}

const readGatewaySource = (loading: Loading, file: string): YamlSource | null => {
  const content = loading.files.read(file)
  if (Buffer.isBuffer(content)) return readYamlSource(file, content, loading.report)
  const message = `the configuration cannot be read: ${content}`
  loading.report({ severity: 'error', rule: 'unreadable-file', file, line: 1, column: 1, message })
  return null
}

/** All of a configuration; null when some part of it could not be read, which was reported. */
const loadParts = async (
  loading: Loading,
  source: YamlSource,
  review: (lintable: Lintable) => void,
  asked: LoadOptions['decisionTests'],
): Promise<Omit<Configuration, 'version' | 'files'> | null> => {
  const gateway = readGateway(loading, source)
  checkListeners(gateway)
  checkResources(gateway.protectedResources, below(source, []))
  checkWorkers(gateway)
  checkSharedSessions(gateway)
  gateway.routes.forEach(checkConfinementEntry)
  const maps = readRouteMaps(loading, gateway)
  checkNames(gateway, maps)
  checkRouteNames(maps)
  const entries = await prepareEntries(loading, gateway)
  const { listeners, authenticators, engines, upstreams, sinks, assertionSettings, signals } = entries
  const drafts = draftRoutes(maps, gateway)
  for (const draft of drafts) {
    checkCompleteness(draft)
    checkConfinement(draft)
  }
  const carriers = [...authenticators.values()].map(({ description }) => description.carrier)
  const { table, routes } = compileDrafts(loading, gateway, carriers, drafts)
  review(createLintable(gateway, drafts, { table, routes }, entries))
  tellAskedRoutes(loading, gateway, drafts, routes)
  tellWithoutAudit(loading, gateway)
  const decisionTests = testsOf(loading, gateway, maps, asked)
  const { limits, drainTimeoutMs, workers, grants, revocation, assertion } = gateway
  if (limits === null || drainTimeoutMs === null || grants === null || assertion === null) return null
  if (workers === null || revocation === null) return null
  if (assertionSettings === null) return null
  return {
    file: source.file,
    listeners,
    admin: gateway.admin,
    limits,
    drainTimeoutMs,
    workers: workerCount(workers),
    baseline: gateway.baseline,
    unmatched: gateway.unmatched,
    protectedResources: gateway.protectedResources,
    authenticators,
    engines,
    sinks,
    upstreams,
    grants,
    redis: entries.redis,
    revocation,
    signals,
    assertion,
    assertionSettings,
    table,
    routes,
    requireTests: gateway.requireTests,
    decisionTests,
  }
}

const testsOf = (
  loading: Loading,
  gateway: GatewayFile,
  maps: readonly RouteMap[],
  asked: LoadOptions['decisionTests'],
): readonly DecisionTest[] => {
  if (asked === undefined && !gateway.requireTests) return []
  if (asked !== undefined && asked !== 'found') return readDecisionTests(loading, asked)
  const besides = [gateway.source.file, ...maps.map(({ defaultsPart }) => defaultsPart.source.file)]
  return readDecisionTests(loading, findDecisionTests(loading.files, besides))
}

const tellWithoutAudit = (loading: Loading, { source }: GatewayFile): void => {
  const { value: written = [] } = child({ source, path: [], value: source.value }, 'audit')
  if (!Array.isArray(written) || written.length > 0) return
  const message = 'decisions are not recorded, since audit names no sink'
  inform(loading, { source, path: ['audit'] }, { rule: 'no-audit', message })
}

/**
 * Reads, checks and compiles a configuration; opens and fetches nothing.
 *
 * @param file the gateway's file; route maps and all else are named in it.
 * @returns every finding, sorted by place; the configuration only if none of them is an error. Never throws for
 * what is in the files.
 * Does not check: that addresses can be bound, that anything answers, that logs can be written.
 */
export const loadConfiguration = async (file: string, options: LoadOptions): Promise<LoadResult> => {
  const { env, clock, log } = options
  const path = resolve(file)
  const findings: Finding[] = []
  const files = createFileStore(path, options.instead)
  const wanted: { signal: AbortSignal } = { signal: UNENDING }
  const loading: Loading = {
    clock,
    log,
    share: options.share ?? keptByNobody,
    sharedUses: options.sharedUses ?? NOTHING_SHARED,
    sharedValues: options.sharedValues ?? NO_SHARED_VALUES,
    worker: options.worker ?? null,
    workers: options.workers ?? 1,
    whileWanted: () => {
      wanted.signal = options.whileWanted?.(sourcesOf(files)) ?? UNENDING
      return wanted.signal
    },
    files,
    settingsFor: (current) => createSettings({ file: current, env, readSecret: files.readSecret }),
    report: (finding) => findings.push(finding),
  }
  const source = readGatewaySource(loading, path)
  // Only a configuration without an error is worth reviewing: the rules rely on it.
  const review = (lintable: Lintable): void => {
    if (options.lint !== true || findings.some(({ severity }) => severity === 'error')) return
    findings.push(...lint(lintable, textOf))
  }
  const textOf = (path: string): string | null => {
    const content = files.read(path)
    return Buffer.isBuffer(content) ? content.toString('utf8') : null
  }
  const load = async () => source && loadParts(loading, source, review, options.decisionTests)
  const parts = await load().catch((reason: unknown) => {
    if (!wanted.signal.aborted) throw reason
    return null
  })
  const sorted = sortFindings(findings)
  const sources = sourcesOf(files)
  if (parts === null || sorted.some(({ severity }) => severity === 'error')) {
    const isUnfinished = wanted.signal.aborted && parts === null
    return { configuration: null, findings: sorted, sources, ...(isUnfinished && { unfinished: true }) }
  }
  const configuration = { ...parts, version: files.version(), files: files.files() }
  return { configuration, findings: sorted, sources }
}

const UNENDING = new AbortController().signal

const keptByNobody: Preparation['share'] = (_key, create) => {
  const value = create()
  return { value, release: value.close }
}
