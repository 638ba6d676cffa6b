import { Command, CommanderError } from 'commander'
import { systemClock } from '../core/clock.ts'
import { type CommandIo, type Done, EXIT } from './io.ts'
import { version } from './version.ts'

type AddCommand = (program: Command, io: CommandIo, done: Done) => void

/** By name, in the order of the help. */
const COMMANDS: Readonly<Record<string, () => Promise<AddCommand>>> = {
  serve: async () => (await import('./serve.ts')).addServe,
  check: async () => (await import('./check.ts')).addCheck,
  explain: async () => (await import('./explain.ts')).addExplain,
  test: async () => (await import('./test.ts')).addTest,
  replay: async () => (await import('./replay.ts')).addReplay,
  diff: async () => (await import('./diff.ts')).addDiff,
  import: async () => (await import('./import.ts')).addImport,
  learn: async () => (await import('./learn.ts')).addLearn,
  routes: async () => (await import('./routes.ts')).addRoutes,
  schema: async () => (await import('./schema.ts')).addSchema,
  keys: async () => (await import('./keys.ts')).addKeys,
  engine: async () => (await import('./engine.ts')).addEngine,
  audit: async () => (await import('./audit.ts')).addAudit,
  grants: async () => (await import('./grants.ts')).addGrants,
  revoke: async () => (await import('./revoke.ts')).addRevoke,
  tasks: async () => (await import('./tasks.ts')).addTasks,
  health: async () => (await import('./health.ts')).addHealth,
  demo: async () => (await import('./demo.ts')).addDemo,
}

/** Only the named command's own modules: a health check need not load the policy engine every few seconds. */
const commandsFor = (args: readonly string[]): Promise<readonly AddCommand[]> => {
  const [name = ''] = args
  const named = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  return Promise.all((named === undefined ? Object.values(COMMANDS) : [named]).map((load) => load()))
}

/** Runs one command line and resolves to its exit code: 0 well, 1 findings or a deny, 2 bad usage or configuration. */
export const runCommandLine = async (args: readonly string[], io: CommandIo): Promise<number> => {
  let exitCode: number = EXIT.ok
  const done = (code: number): void => {
    exitCode = code
  }
  const program = new Command('sallyport')
    .description('A reverse proxy that asks a policy engine before every request.')
    .version(version(), '-V, --version', 'print the version')
    .configureOutput({ writeOut: io.out, writeErr: io.err })
    .exitOverride()
    .showSuggestionAfterError()
    .helpCommand(false)
  for (const add of await commandsFor(args)) add(program, io, done)
  try {
    await program.parseAsync([...args], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    return error.exitCode === 0 ? EXIT.ok : EXIT.usage
  }
  return exitCode
}

const stopRequested = (): Promise<void> =>
  new Promise((resolve) => {
    process.once('SIGTERM', () => resolve())
    process.once('SIGINT', () => resolve())
  })

const io: CommandIo = {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  env: process.env,
  clock: systemClock,
  colour: process.stdout.isTTY === true && process.env.NO_COLOR === undefined,
  stopRequested,
  reloadRequested: (listener) => process.on('SIGHUP', listener),
}

// A reader that has seen enough (`| head`) closes the pipe; that is not a failure of the command.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(EXIT.ok)
  throw error
})

const exitCode = await runCommandLine(process.argv.slice(2), io)
// What a pipe has not taken yet would be lost.
await new Promise((resolve) => process.stdout.write('', resolve))
process.exit(exitCode)
