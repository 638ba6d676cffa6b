import { Command, CommanderError } from 'commander'
import { systemClock } from '../core/clock.ts'
import { addAudit } from './audit.ts'
import { addCheck } from './check.ts'
import { addDemo } from './demo.ts'
import { addDiff } from './diff.ts'
import { addEngine } from './engine.ts'
import { addExplain } from './explain.ts'
import { addGrants } from './grants.ts'
import { addHealth } from './health.ts'
import { addImport } from './import.ts'
import { type CommandIo, EXIT } from './io.ts'
import { addKeys } from './keys.ts'
import { addLearn } from './learn.ts'
import { addReplay } from './replay.ts'
import { addRevoke } from './revoke.ts'
import { addRoutes } from './routes.ts'
import { addSchema } from './schema.ts'
import { addServe } from './serve.ts'
import { addTasks } from './tasks.ts'
import { addTest } from './test.ts'
import { version } from './version.ts'

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
  for (const add of [
    addServe,
    addCheck,
    addExplain,
    addTest,
    addReplay,
    addDiff,
    addImport,
    addLearn,
    addRoutes,
    addSchema,
    addKeys,
    addEngine,
    addAudit,
    addGrants,
    addRevoke,
    addTasks,
    addHealth,
    addDemo,
  ]) {
    add(program, io, done)
  }
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
