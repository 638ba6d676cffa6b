import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { availableParallelism } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

// Ten thousand policies are read in nearly twenty.
const START_DEADLINE_MS = 60_000
const POLL_MS = 25

/** The core of what is measured, and the core of what measures it and answers it. */
export type Core = 'subject' | 'surroundings'

const CORES: Readonly<Record<Core, string>> = { subject: '0', surroundings: '1' }

/** The absolute path of a command, or null where it is not installed. */
export const findCommand = (command: string): string | null =>
  (process.env.PATH ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, command))
    .find((file) => existsSync(file)) ?? null

/** Pinning needs `taskset` and two cores; without them everything shares what there is, and the result says so. */
export const canPin = (): boolean => findCommand('taskset') !== null && availableParallelism() >= 2

/** A command and its arguments, pinned to a core where that is possible. */
export const pinned = (core: Core, command: readonly string[]): readonly [string, readonly string[]] => {
  const whole = canPin() ? ['taskset', '-c', CORES[core], ...command] : command
  const [file = '', ...args] = whole
  return [file, args]
}

/** A compiled server of this folder, as a command. */
export const nodeServer = (name: string, ...args: readonly (string | number)[]): readonly string[] => [
  process.execPath,
  fileURLToPath(new URL(`./servers/${name}.js`, import.meta.url)),
  ...args.map(String),
]

/** A TCP port of loopback that was free a moment ago. */
export const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      const port = typeof address === 'object' && address !== null ? address.port : 0
      server.close(() => resolve(port))
    })
  })

export interface Running {
  readonly pid: number
  readonly stop: () => Promise<void>
}

const running = new Set<ChildProcess>()

/** Nothing that was started outlives the bench, however it ends. */
export const stopEverything = (): void => {
  for (const child of running) child.kill('SIGKILL')
}

const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const say = (answer: boolean) => () => {
      socket.destroy()
      resolve(answer)
    }
    socket.once('connect', say(true))
    socket.once('error', say(false))
  })

const waitForPort = async (port: number, hasEnded: () => string | null): Promise<void> => {
  const deadline = Date.now() + START_DEADLINE_MS
  while (!(await accepts(port))) {
    const end = hasEnded()
    if (end !== null) throw new Error(end)
    if (Date.now() > deadline) throw new Error(`nothing listens on port ${port}`)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

/** Every subject on Node runs as the image does: V8's other threads share its one core. */
const startedAsImage = ([file = '', ...args]: readonly string[]): readonly string[] =>
  file === process.execPath ? [file, '--no-memory-reducer', ...args] : [file, ...args]

/** Starts a command and waits until it listens. @throws Error with what it wrote, when it ends before. */
export const startProcess = async (
  core: Core,
  command: readonly string[],
  port: number,
  env: Readonly<Record<string, string>> = {},
): Promise<Running> => {
  const asImage = core === 'subject' && canPin()
  const [file, args] = pinned(core, asImage ? startedAsImage(command) : command)
  const options = asImage ? { NODE_OPTIONS: '--v8-pool-size=1 --max-semi-space-size=4' } : {}
  const child = spawn(file, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, ...options, ...env },
  })
  running.add(child)
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said = `${said}${chunk.toString('utf8')}`.slice(-4000)
  })
  let end: string | null = null
  const ended = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      end = `${command[0]}: ${error.message}`
      resolve()
    })
    child.once('exit', (code, signal) => {
      running.delete(child)
      end = `${command.join(' ')} ended (${code ?? signal}): ${said}`
      resolve()
    })
  })
  await waitForPort(port, () => end)
  return {
    pid: child.pid ?? 0,
    stop: async () => {
      child.kill('SIGTERM')
      const force = setTimeout(() => child.kill('SIGKILL'), 5000)
      await ended
      clearTimeout(force)
    },
  }
}

const clockTicksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

const familyOf = (pid: number): readonly number[] => {
  const file = `/proc/${pid}/task/${pid}/children`
  const children = existsSync(file) ? readFileSync(file, 'utf8').trim().split(' ').filter(Boolean) : []
  return [pid, ...children.map(Number).flatMap(familyOf)]
}

const cpuOf = (pid: number): number => {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  // The command's name, in parentheses, may hold spaces: what follows it is counted from its end.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return ((Number(fields[11]) + Number(fields[12])) / clockTicksPerSecond) * 1e6
}

/** CPU time in microseconds that processes and their children have used so far, in user and system. */
export const cpuUs = (pids: readonly number[]): number =>
  pids.flatMap(familyOf).reduce((sum, pid) => sum + cpuOf(pid), 0)

/** Resident memory of one process now, in bytes. */
export const residentBytes = (pid: number): number => {
  const kilobytes = /^VmRSS:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kilobytes) * 1024
}
