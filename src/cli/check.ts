import type { Command } from 'commander'
import type { LoadResult } from '../config/configuration.ts'
import { loadConfiguration } from '../config/load.ts'
import { createFileWatcher } from '../start/watch.ts'
import { type ConfigurationOption, configurationOption, printFindings } from './configuration-file.ts'
import { type CommandIo, type Done, EXIT } from './io.ts'
import { silentLog } from './log.ts'

interface CheckOptions extends ConfigurationOption {
  readonly json?: boolean
  readonly watch?: boolean
}

export const addCheck = (program: Command, io: CommandIo, done: Done): void => {
  configurationOption(program.command('check'))
    .description(
      'Loads the configuration with the code that serves it, prints every mistake at its place, and warns of what is seldom meant.',
    )
    .option('--json', 'print {"findings":[{severity, rule, file, line, column, message}]}')
    .option('--watch', 'check again at each edit, until interrupted')
    .addHelpText(
      'after',
      '\nExits 0 when all is well, 1 with warnings, 2 when it would not be served. docs/lint tells of each rule.',
    )
    .action(async (options: CheckOptions) => {
      const stop = options.watch === true ? io.stopRequested() : null
      const check = async (): Promise<LoadResult> => {
        const loaded = await load(options, io)
        print(loaded, options, io)
        return loaded
      }
      const first = stop === null ? await check() : await checkUntil(stop, check)
      done(exitCodeOf(first))
    })
}

const load = ({ config }: CheckOptions, { env, clock }: CommandIo): Promise<LoadResult> =>
  loadConfiguration(config, { env, clock, log: silentLog, lint: true })

const print = ({ configuration, findings }: LoadResult, options: CheckOptions, io: CommandIo): void => {
  const json = options.json === true
  printFindings(findings, io, json, io.out)
  if (json || configuration === null) return
  const warnings = findings.filter(({ severity }) => severity === 'warning').length
  const told = warnings === 0 ? '' : `, ${warnings} warning${warnings === 1 ? '' : 's'}`
  io.out(`${options.config}: ${configuration.routes.length} routes, no mistakes${told}\n`)
}

const exitCodeOf = ({ configuration, findings }: LoadResult): number => {
  if (configuration === null) return EXIT.usage
  return findings.some(({ severity }) => severity === 'warning') ? EXIT.findings : EXIT.ok
}

/** Checks at once and after each edit; resolves to the last result when it is told to stop. */
const checkUntil = async (stop: Promise<void>, check: () => Promise<LoadResult>): Promise<LoadResult> => {
  let ring = (): void => undefined
  const watcher = createFileWatcher(() => ring(), silentLog)
  const stopped = stop.then(() => 'stopped' as const)
  // What watches lets the process end; a timer that does nothing keeps it.
  const alive = setInterval(() => undefined, 60_000)
  try {
    for (;;) {
      const edited = new Promise<'edited'>((resolve) => {
        ring = () => resolve('edited')
      })
      const loaded = await check()
      watcher.watch(loaded.sources)
      if (!loaded.sources.areCurrent()) continue
      if ((await Promise.race([edited, stopped])) === 'stopped') return loaded
    }
  } finally {
    clearInterval(alive)
    watcher.close()
  }
}
