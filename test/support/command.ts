import { Command, CommanderError } from 'commander'
import { type CommandIo, type Done, EXIT } from '../../src/cli/io.ts'
import { systemClock } from '../../src/core/clock.ts'

export interface Ran {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs one command in this process, which is quicker than a process of its own. */
export const runCommand = async (
  add: (program: Command, io: CommandIo, done: Done) => void,
  args: readonly string[],
  more: Partial<CommandIo> = {},
): Promise<Ran> => {
  let stdout = ''
  let stderr = ''
  let status: number = EXIT.ok
  const io: CommandIo = {
    out: (text) => {
      stdout += text
    },
    err: (text) => {
      stderr += text
    },
    env: {},
    clock: systemClock,
    colour: false,
    stopRequested: () => new Promise(() => undefined),
    reloadRequested: () => undefined,
    ...more,
  }
  const program = new Command('sallyport')
    .configureOutput({ writeOut: io.out, writeErr: io.err })
    .exitOverride()
  add(program, io, (code) => {
    status = code
  })
  try {
    await program.parseAsync([...args], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    status = error.exitCode === 0 ? EXIT.ok : EXIT.usage
  }
  return { status, stdout, stderr }
}
