import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { repositoryRoot } from '../house/source-files.ts'
import { layOut, type World } from './gateway.ts'
import { type ServerProcess, startServerProcess } from './server-process.ts'

// Plain JavaScript, which the compiler leaves where it is.
const { findTool } = await import(pathToFileURL(join(repositoryRoot, 'scripts', 'tools.mjs')).href)

/** The program; null where it is not installed. */
export const opaCommand: string | null = findTool('opa')

/** What a test that needs the program gives as its `skip`. */
export const withoutOpa: string | false = opaCommand === null ? 'opa is not installed' : false

const command = (): string => {
  if (opaCommand === null) throw new Error('opa is not installed')
  return opaCommand
}

export interface OpaOptions {
  /** Rego and data files, by path. */
  readonly files: World
  readonly args?: readonly string[]
  readonly port?: number
}

/** Starts OPA as a server with these policies, and watches them. */
export const startOpa = ({ files, args = [], port }: OpaOptions): Promise<ServerProcess> =>
  startServerProcess({
    command: command(),
    args: (chosen) => [
      'run',
      ...['--server', '--addr', `127.0.0.1:${chosen}`, '--log-level', 'error', '--disable-telemetry'],
      ...args,
      ...Object.keys(files),
    ],
    healthPath: '/health',
    directory: layOut(files),
    ...(port === undefined ? {} : { port }),
  })

/** Runs `opa` once in a directory of these files; the result is the directory. */
export const runOpa = (files: World, args: readonly string[]): string => {
  const directory = layOut(files)
  execFileSync(command(), args, { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] })
  return directory
}
