import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../../src/core/clock.ts'
import type { Log } from '../../src/core/log.ts'
import type { StartOptions } from '../../src/start/options.ts'
import { type Gateway, startGateway } from '../../src/start.ts'

/** One parsed line of a decision log. */
export type LoggedRecord = Readonly<Record<string, unknown>> & {
  readonly id: string
  readonly decision: 'allow' | 'deny'
  readonly code: string
  readonly source: string
}

export interface TestGateway {
  readonly host: string
  readonly port: number
  /** `host:port` of the admin port, when there is one. */
  readonly admin: string | null
  readonly directory: string
  /** Every record so far; records are written before a caller is answered, so no wait is needed. */
  readonly records: () => readonly LoggedRecord[]
  readonly gateway: Gateway
  readonly close: () => Promise<void>
}

/** Files by path, below a new temporary directory. */
export type World = Readonly<Record<string, string>>

export const layOut = (world: World): string => {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-'))
  for (const [path, content] of Object.entries(world)) {
    const file = join(directory, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, content)
  }
  return directory
}

export const readRecords = (file: string): readonly LoggedRecord[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as LoggedRecord)

const CONFIGURATION = 'config/sallyport.yaml'
const DECISIONS = 'log/decisions.ndjson'

/** Collects what is logged, so that a test can say that nothing secret is. */
export const collectingLog = (lines: string[]): Log => {
  const add =
    (level: string) =>
    (fields: object, message: string): void => {
      lines.push(JSON.stringify({ level, message, ...fields }))
    }
  return { debug: add('debug'), info: add('info'), warn: add('warn'), error: add('error') }
}

const splitAddress = (address: string): { readonly host: string; readonly port: number } => {
  const colon = address.lastIndexOf(':')
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(address.slice(colon + 1)) }
}

export interface TestGatewayOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly logLines?: string[]
  readonly watch?: StartOptions['watch']
}

/** Starts the gateway in this process, on a world whose configuration binds port 0. */
export const startTestGateway = (world: World, options: TestGatewayOptions = {}): Promise<TestGateway> =>
  startInDirectory(layOut(world), options)

/** As `startTestGateway`, in a directory that was laid out before; `close` removes it. */
export const startInDirectory = async (
  directory: string,
  options: TestGatewayOptions = {},
): Promise<TestGateway> => {
  const started = await startGateway({
    file: join(directory, CONFIGURATION),
    env: options.env ?? {},
    clock: systemClock,
    log: collectingLog(options.logLines ?? []),
    ...(options.watch === undefined ? {} : { watch: options.watch }),
  })
  if ('findings' in started) {
    throw new Error(started.findings.map((f) => `${f.file}:${f.line}:${f.column}: ${f.message}`).join('\n'))
  }
  const { host, port } = splitAddress(started.addresses[0] ?? '')
  return {
    host,
    port,
    admin: started.adminAddress,
    directory,
    records: () => readRecords(join(directory, DECISIONS)),
    gateway: started,
    close: async () => {
      await started.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

export interface GatewayProcess {
  readonly child: ChildProcess
  readonly host: string
  readonly port: number
  readonly admin: string | null
  /** Everything that it wrote to standard error so far. */
  readonly logLines: readonly string[]
  /** Everything that it wrote to standard output so far. */
  readonly output: () => string
  /** Resolves to the exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>
}

const BIN = fileURLToPath(new URL('../../../bin/sallyport', import.meta.url))

export interface GatewayProcessOptions {
  readonly env?: Readonly<Record<string, string>>
  /** More arguments of `serve`. */
  readonly args?: readonly string[]
  /** What the shell does before it becomes the gateway, such as `ulimit -f 64`; default: no shell. */
  readonly shell?: string
}

/** Starts `bin/sallyport serve` as a user would, in a directory laid out before; waits until it listens. */
export const startGatewayProcess = async (
  directory: string,
  { env = {}, args = [], shell }: GatewayProcessOptions = {},
): Promise<GatewayProcess> => {
  const serve = [BIN, 'serve', '--config', join(directory, CONFIGURATION), ...args]
  const inShell = ['-c', `${shell}; exec "$0" "$@"`, process.execPath, ...serve]
  const child = spawn(
    shell === undefined ? process.execPath : 'bash',
    shell === undefined ? serve : inShell,
    {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  const output: string[] = []
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk.toString('latin1')))
  const logLines: string[] = []
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    // After the last of its output, too.
    child.once('close', (code, signal) => resolve(code ?? signal ?? -1))
  })
  const listening = new Promise<{ addresses: readonly string[]; admin: string | null }>((resolve, reject) => {
    ended.then((how) => reject(new Error(`ended with ${how} before it listened:\n${logLines.join('\n')}`)))
    createInterface({ input: child.stderr }).on('line', (line) => {
      logLines.push(line)
      if (line.includes('"msg":"listening"')) resolve(JSON.parse(line))
    })
  })
  const { addresses, admin } = await listening
  return { child, ...splitAddress(addresses[0] ?? ''), admin, logLines, output: () => output.join(''), ended }
}
