import type { Configuration, LoadResult } from '../config/configuration.ts'
import type { LoadOptions } from '../config/load.ts'
import type { Sources } from '../config/sources.ts'
import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import type { Finding } from '../core/problem.ts'
import { type NotStarted, notStarted } from './options.ts'

/** What runs, since when, and what was wrong with the last edit if it was not taken over. */
export interface ConfigStatus {
  /** `sha256:…` of the configuration that decides; records carry the same. */
  readonly version: string
  /** RFC 3339. */
  readonly appliedAt: string
  readonly rejected: null | { readonly at: string; readonly findings: readonly Finding[] }
}

export interface ReloadOutcome {
  /** `unchanged`: what is in the files is what runs, or what was rejected already. */
  readonly outcome: 'applied' | 'unchanged' | 'rejected'
  /** Of an edit that was rejected, or what is worth telling of one that was not. */
  readonly findings: readonly Finding[]
  readonly status: ConfigStatus
}

export interface ReloaderOptions {
  /** Reads the configuration once; see `LoadOptions` for `whileWanted`. */
  readonly load: (whileWanted?: LoadOptions['whileWanted']) => Promise<LoadResult>
  /** Told what is to be watched, before it is looked whether it changed while it was read. */
  readonly watch: (sources: Sources) => void
  /** Puts a configuration to work, or says why that cannot be; then nothing has changed. */
  readonly apply: (configuration: Configuration) => Promise<NotStarted | null>
  readonly file: string
  readonly clock: Clock
  readonly log: Log
  /** Called after each reload, such as to count them. */
  readonly onOutcome: (outcome: ReloadOutcome) => void
}

export interface Reloader {
  /** Loads the configuration and puts it to work if nothing is wrong with it; what runs stays otherwise. Never rejects. */
  readonly reload: () => Promise<ReloadOutcome>
  /** As `reload`, but does nothing when the files are as they were when they were last read. */
  readonly reloadIfChanged: () => Promise<ReloadOutcome>
  readonly status: () => ConfigStatus
  /** Resolves when no reload is under way; none begins afterwards. */
  readonly stop: () => Promise<void>
}

const SETTLE_ATTEMPTS = 20
const SETTLE_PAUSE_MS = 50

/**
 * Loads until the files were the same before and after, so that no half of an edit is taken for the whole.
 *
 * @returns null when they keep changing, or it is stopped.
 */
export const loadSettled = async (
  options: Pick<ReloaderOptions, 'load' | 'watch'>,
  whileWanted?: LoadOptions['whileWanted'],
  isStopped: () => boolean = () => false,
): Promise<LoadResult | null> => {
  for (let attempt = 0; attempt < SETTLE_ATTEMPTS; attempt += 1) {
    if (attempt > 0) await pause(SETTLE_PAUSE_MS)
    const loaded = await options.load(whileWanted)
    options.watch(loaded.sources)
    if (loaded.unfinished === true && isStopped()) return null
    if (loaded.unfinished !== true && loaded.sources.areCurrent()) return loaded
  }
  return null
}

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms)
  })

interface State {
  version: string
  appliedAtMs: number
  /** Of what runs. */
  digest: string
  rejected: { readonly atMs: number; readonly findings: readonly Finding[] } | null
  lastSeen: Sources
  /** What is being loaded, as far as it was read; null: nothing that takes long. */
  reading: { readonly sources: Sources; readonly unwanted: AbortController } | null
  stopped: boolean
}

/** @param initial what runs from the start. */
export const createReloader = (
  initial: { readonly configuration: Configuration; readonly sources: Sources },
  options: ReloaderOptions,
): Reloader => {
  const { clock } = options
  const state: State = {
    version: initial.configuration.version,
    appliedAtMs: clock.nowMs(),
    digest: initial.sources.digest,
    rejected: null,
    lastSeen: initial.sources,
    reading: null,
    stopped: false,
  }
  let running: Promise<unknown> = Promise.resolve()

  const outcome = (kind: ReloadOutcome['outcome'], findings: readonly Finding[]): ReloadOutcome => ({
    outcome: kind,
    findings,
    status: statusOf(state),
  })

  const run = async (onlyIfChanged: boolean): Promise<ReloadOutcome> => {
    if (state.stopped || (onlyIfChanged && state.lastSeen.areCurrent())) return outcome('unchanged', [])
    const ended = await reloadOnce(state, options).then(
      ([kind, findings]) => outcome(kind, findings),
      (bug: unknown) => {
        options.log.error({ stack: bug instanceof Error ? bug.stack : String(bug) }, 'internal error')
        const { findings } = notStarted(options.file, 'internal', 'loading it broke; the stack is in the log')
        state.rejected = { atMs: clock.nowMs(), findings }
        return outcome('rejected', findings)
      },
    )
    options.onOutcome(ended)
    return ended
  }

  const inTurn = (onlyIfChanged: boolean): Promise<ReloadOutcome> => {
    const turn = running.then(() => run(onlyIfChanged))
    running = turn
    return turn
  }

  return {
    reload: () => inTurn(false),
    reloadIfChanged: () => {
      // What is being loaded was edited once more meanwhile: loading begins again with that.
      if (state.reading?.sources.areCurrent() === false) state.reading.unwanted.abort()
      return inTurn(true)
    },
    status: () => statusOf(state),
    stop: async () => {
      state.stopped = true
      state.reading?.unwanted.abort()
      await running
    },
  }
}

const statusOf = ({ version, appliedAtMs, rejected }: State): ConfigStatus => ({
  version,
  appliedAt: new Date(appliedAtMs).toISOString(),
  rejected:
    rejected === null ? null : { at: new Date(rejected.atMs).toISOString(), findings: rejected.findings },
})

type Ended = readonly [ReloadOutcome['outcome'], readonly Finding[]]

const reloadOnce = async (state: State, options: ReloaderOptions): Promise<Ended> => {
  const { clock, log } = options
  const startedUs = clock.monotonicUs()

  const reject = (findings: readonly Finding[]): Ended => {
    state.rejected = { atMs: clock.nowMs(), findings }
    log.error({ findings, running: state.version }, 'the configuration is rejected; what runs stays')
    return ['rejected', findings]
  }

  const whileWanted = (sources: Sources): AbortSignal => {
    const unwanted = new AbortController()
    state.reading = { sources, unwanted }
    if (state.stopped) unwanted.abort()
    return unwanted.signal
  }
  const loaded = await loadSettled(options, whileWanted, () => state.stopped)
  state.reading = null
  if (state.stopped) return ['unchanged', []]
  if (loaded === null) {
    const message = 'the files of the configuration keep changing while they are read'
    return reject(notStarted(options.file, 'unsettled', message).findings)
  }
  const { configuration, findings, sources } = loaded
  state.lastSeen = sources
  if (sources.digest === state.digest) {
    if (state.rejected !== null) log.info({ running: state.version }, 'the configuration is what runs, again')
    state.rejected = null
    return ['unchanged', []]
  }
  if (configuration === null) return reject(findings)
  const problem = await options.apply(configuration)
  if (problem !== null) return reject(problem.findings)
  const before = state.version
  Object.assign(state, {
    version: configuration.version,
    appliedAtMs: clock.nowMs(),
    digest: sources.digest,
    rejected: null,
  } satisfies Partial<State>)
  for (const { message, file, line } of findings) log.warn({ file, line }, message)
  const ms = Math.round((clock.monotonicUs() - startedUs) / 1000)
  log.info({ version: configuration.version, before, ms }, 'the configuration is applied')
  return ['applied', findings]
}
