import { type ChildProcess, spawn } from 'node:child_process'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { stopProcess } from './stopped-process.ts'

/** A real server that a test talks to. */
export interface ServerProcess {
  readonly url: string
  readonly port: number
  /** Everything that it wrote so far. */
  readonly output: () => string
  /** Stops it dead: connections stay, and nothing answers. */
  readonly freeze: () => void
  readonly thaw: () => void
  /** SIGKILL, and waits until it is gone. */
  readonly kill: () => Promise<void>
}

/** A port of 127.0.0.1 that was free a moment ago, for servers that cannot say which one they took. */
export const freePort = async (): Promise<number> => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // An address object is certain here: the server listens on TCP.
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

const DEADLINE_MS = 30_000
const PAUSE_MS = 50

/** Resolves once `test` holds; rejects at the deadline. */
export const eventually = async (
  what: string,
  test: () => boolean | Promise<boolean>,
  deadlineMs = DEADLINE_MS,
): Promise<void> => {
  const endMs = Date.now() + deadlineMs
  while (!(await test())) {
    if (Date.now() > endMs) throw new Error(`not within ${deadlineMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  }
}

/**
 * Starts a server, and waits until it answers `healthPath` with 200.
 *
 * @param args of the command, made for the port that it is to use.
 */
export const startServerProcess = async (options: {
  readonly command: string
  readonly args: (port: number) => readonly string[]
  readonly healthPath: string
  readonly port?: number
  readonly directory?: string
}): Promise<ServerProcess> => {
  const port = options.port ?? (await freePort())
  const child = spawn(options.command, options.args(port), {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(options.directory === undefined ? {} : { cwd: options.directory }),
  })
  const output: string[] = []
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => output.push(chunk.toString()))
  const url = `http://127.0.0.1:${port}`
  await eventually(`${options.command} answers`, async () => {
    if (child.exitCode !== null) throw new Error(`${options.command} ended:\n${output.join('')}`)
    const answer = await fetch(`${url}${options.healthPath}`).catch(() => null)
    await answer?.arrayBuffer()
    return answer?.status === 200
  })
  return {
    url,
    port,
    output: () => output.join(''),
    freeze: () => stopProcess(child),
    thaw: () => child.kill('SIGCONT'),
    kill: () => killed(child),
  }
}

const killed = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve()
    child.once('close', () => resolve())
    child.kill('SIGKILL')
  })
