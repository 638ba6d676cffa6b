import type { Command } from 'commander'
import { loadConfiguration } from '../config/load.ts'
import type { Log } from '../core/log.ts'
import { openMarkFile } from '../gateway/decide/revocations/mark-file.ts'
import { growHeapBy } from '../start/heap-growth.ts'
import { letHelpersGiveWay } from '../start/helper-threads.ts'
import { notStarted } from '../start/options.ts'
import { countWorkers } from '../start/workers/count-workers.ts'
import { startPrimary } from '../start/workers/primary.ts'
import { openWorkerLink, type WorkerLink } from '../start/workers/worker.ts'
import { startGateway } from '../start.ts'
import { type ConfigurationOption, configurationOption, printFindings } from './configuration-file.ts'
import { type CommandIo, type Done, EXIT } from './io.ts'
import { createLog, isLogLevel } from './log.ts'

interface ServeOptions extends ConfigurationOption {
  readonly logLevel: string
}

export const addServe = (program: Command, io: CommandIo, done: Done): void => {
  configurationOption(program.command('serve'))
    .description(
      'Runs the gateway until SIGTERM or SIGINT, then drains. Takes up edits by itself, and at once on SIGHUP.',
    )
    .option('--log-level <level>', 'debug, info, warn, error or silent', io.env.SALLYPORT_LOG_LEVEL ?? 'info')
    .action(async (options: ServeOptions) => {
      if (!isLogLevel(options.logLevel)) {
        io.err(`--log-level: found '${options.logLevel}', expected debug, info, warn, error or silent\n`)
        return done(EXIT.usage)
      }
      const link = openWorkerLink(process)
      const log = createLog(options.logLevel, link === null ? {} : { worker: link.place.index })
      if (link !== null) return done(await serveAsWorker(options, link, io, log))
      const count = countWorkers(options.config)
      done(await (count === 1 ? serveAlone(options, io, log) : serveByWorkers(count, options, io, log)))
    })
}

const serveAlone = async ({ config: file }: ServeOptions, io: CommandIo, log: Log): Promise<number> => {
  const stop = io.stopRequested()
  // Before it runs, so that an early signal is not the end of it.
  let reload: () => void = () => undefined
  io.reloadRequested(() => {
    log.info({}, 'reloading')
    reload()
  })
  const started = await startGateway({ file, env: io.env, clock: io.clock, log })
  if ('findings' in started) {
    printFindings(started.findings, io, false)
    return EXIT.usage
  }
  reload = () => void started.reload()
  growHeapBy()
  letHelpersGiveWay()
  await stop
  await started.close()
  return EXIT.ok
}

const serveByWorkers = async (
  count: number,
  { config: file }: ServeOptions,
  io: CommandIo,
  log: Log,
): Promise<number> => {
  const stop = io.stopRequested()
  const { configuration, findings } = await loadConfiguration(file, { ...io, log })
  if (configuration === null) {
    printFindings(findings, io, false)
    return EXIT.usage
  }
  const { drainTimeoutMs, revocation } = configuration
  const markFile = revocation.file === undefined ? null : openMarkFile(revocation.file, io.clock.nowMs())
  if (markFile !== null && 'failed' in markFile) {
    printFindings(notStarted(file, 'revocation-feed', markFile.failed).findings, io, false)
    return EXIT.usage
  }
  const primary = startPrimary({ count, drainTimeoutMs, markFile, clock: io.clock, log })
  io.reloadRequested(() => {
    log.info({}, 'reloading')
    primary.reload()
  })
  const stopped = stop.then(() => 'stop' as const)
  const failed = primary.failed.then(() => 'failed' as const)
  const mistakes = await Promise.race([primary.started, stopped, failed])
  if (Array.isArray(mistakes)) {
    printFindings(mistakes, io, false)
    await primary.stop()
    return EXIT.usage
  }
  if ((await Promise.race([stopped, failed])) === 'failed') {
    log.error({}, 'workers end as soon as they are started; giving up')
    await primary.stop()
    return EXIT.findings
  }
  const isClean = await primary.stop()
  log.info({}, 'stopped')
  return isClean ? EXIT.ok : EXIT.findings
}

/** Signals are for the process that was started, which passes on what they mean; a terminal sends them to all. */
const serveAsWorker = async (
  { config: file }: ServeOptions,
  link: WorkerLink,
  io: CommandIo,
  log: Log,
): Promise<number> => {
  void io.stopRequested()
  io.reloadRequested(() => undefined)
  await link.prepared
  const started = await startGateway({ file, env: io.env, clock: io.clock, log, place: link.place })
  if ('findings' in started) {
    await link.send({ kind: 'not-started', findings: started.findings })
    return EXIT.usage
  }
  link.onReload(() => void started.reload())
  growHeapBy()
  letHelpersGiveWay()
  const { addresses } = started
  await link.send({ kind: 'ready', addresses, version: started.configuration().version })
  await link.stopRequested
  await started.close()
  return EXIT.ok
}
