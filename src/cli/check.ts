import type { Command } from 'commander'
import { loadConfiguration } from '../config/load.ts'
import { type ConfigurationOption, configurationOption, printFindings } from './configuration-file.ts'
import { type CommandIo, type Done, EXIT } from './io.ts'
import { silentLog } from './log.ts'

interface CheckOptions extends ConfigurationOption {
  readonly json?: boolean
}

export const addCheck = (program: Command, io: CommandIo, done: Done): void => {
  configurationOption(program.command('check'))
    .description(
      'Loads the configuration with the code that serves it, and prints every mistake at its place.',
    )
    .option('--json', 'print {"findings":[{severity, rule, file, line, column, message}]}')
    .addHelpText('after', '\nExits 0 when it would be served, 2 when it would not.')
    .action(async (options: CheckOptions) => {
      const json = options.json === true
      const { configuration, findings } = await loadConfiguration(options.config, {
        env: io.env,
        clock: io.clock,
        log: silentLog,
      })
      printFindings(findings, io, json, io.out)
      if (configuration === null) return done(EXIT.usage)
      if (!json) io.out(`${options.config}: ${configuration.routes.length} routes, no mistakes\n`)
      done(findings.some((finding) => finding.severity === 'warning') ? EXIT.findings : EXIT.ok)
    })
}
