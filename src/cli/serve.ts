import type { Command } from 'commander'
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
      const stop = io.stopRequested()
      const log = createLog(options.logLevel)
      // Before it runs, so that an early signal is not the end of it.
      let reload: () => void = () => undefined
      io.reloadRequested(() => {
        log.info({}, 'reloading')
        reload()
      })
      const started = await startGateway({ file: options.config, env: io.env, clock: io.clock, log })
      if ('findings' in started) {
        printFindings(started.findings, io, false)
        return done(EXIT.usage)
      }
      reload = () => void started.reload()
      await stop
      await started.close()
      done(EXIT.ok)
    })
}
