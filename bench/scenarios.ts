import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Load } from './load.ts'
import { pinned, residentBytes } from './processes.ts'
import { startSallyport } from './subjects.ts'
import { HOST } from './world.ts'

export interface FixedRate {
  readonly port: number
  readonly path: string
  readonly token: string
  readonly ratePerSecond: number
  readonly seconds: number
  readonly connections: number
}

const programOf = (name: string): string => fileURLToPath(new URL(`./${name}.js`, import.meta.url))

/** A load that does not wait for answers. @throws Error when any request failed or was refused. */
export const fixedRate = (plan: FixedRate): Load => {
  const [file, args] = pinned('surroundings', [process.execPath, programOf('fixed-rate')])
  const output = execFileSync(file, args, {
    input: JSON.stringify({ ...plan, host: HOST }),
    encoding: 'utf8',
    timeout: (plan.seconds + 30) * 1000,
  })
  const { failures, ...load } = JSON.parse(output) as Load & { readonly failures: number }
  if (failures > 0) throw new Error(`${failures} of ${load.requests} requests failed or were refused`)
  return load
}

/** What well-behaved callers see without the others, and beside them, right after each other. */
export interface AbuseRound {
  readonly calm: Load
  readonly abused: Load
}

export interface Abuse {
  readonly idleConnections: number
  /** Each of slow headers, slow bodies and slow readers. */
  readonly slowConnections: number
  readonly ratePerSecond: number
  readonly rounds: readonly AbuseRound[]
}

/** Those that are slow are cut after half a minute and ask anew, for megabytes at once: both windows end before that. */
const WINDOW_SECONDS = 12
// Until what was open to the application for them is closed too.
const LEAVING_MS = 10_000

/** What well-behaved callers see while others hold connections and drip bytes. */
export const measureAbuse = async (backendPort: number, rounds: number): Promise<Abuse> => {
  // At this rate the core has room for what V8 does beside the requests: see docs/adr/0013.
  const [idleConnections, slowConnections, ratePerSecond] = [2000, 300, 500]
  const gateway = await startSallyport({ backendPort, routes: 200, grants: 'ttl: 5m' })
  const load = (seconds: number): Load =>
    fixedRate({
      port: gateway.port,
      path: '/accounts/42',
      token: gateway.world.token('alice'),
      ratePerSecond,
      seconds,
      connections: 50,
    })
  const abused = async (): Promise<Load> => {
    const [file, args] = pinned('surroundings', [
      process.execPath,
      programOf('hostile'),
      ...[gateway.port, HOST, idleConnections, slowConnections].map(String),
    ])
    const hostile = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      await once(hostile.stdout, 'data', { signal: AbortSignal.timeout(30_000) })
      return load(WINDOW_SECONDS)
    } finally {
      hostile.kill('SIGKILL')
      await delay(LEAVING_MS)
    }
  }
  try {
    // Both ways of being busy are compiled by then: neither window measures the compiler.
    load(15)
    await abused()
    const measured: AbuseRound[] = []
    for (let round = 0; round < rounds; round += 1) {
      const calm = load(WINDOW_SECONDS)
      measured.push({ calm, abused: await abused() })
    }
    return { idleConnections, slowConnections, ratePerSecond, rounds: measured }
  } finally {
    await gateway.stop()
  }
}

export interface Memory {
  readonly tokens: number
  readonly routes: number
  readonly grants: number
  readonly emptyBytes: number
  readonly fullBytes: number
}

const grantsHeld = async (adminPort: number): Promise<number> => {
  const response = await fetch(`http://127.0.0.1:${adminPort}/metrics`)
  const text = await response.text()
  return Number(/^sallyport_grants (\d+)$/m.exec(text)?.[1] ?? Number.NaN)
}

/** Resident memory with ten thousand callers of ten grants each. */
export const measureMemory = async (backendPort: number): Promise<Memory> => {
  const [tokens, routes, perToken] = [10_000, 200, 10]
  const gateway = await startSallyport({ backendPort, routes, grants: 'ttl: 5m' })
  try {
    const emptyBytes = residentBytes(gateway.pid)
    const callers = Array.from({ length: tokens }, (_, at) => gateway.world.token(`user-${at}`))
    const [file, args] = pinned('surroundings', [process.execPath, programOf('many-callers')])
    execFileSync(file, args, {
      input: JSON.stringify({ port: gateway.port, host: HOST, routes, perToken, tokens: callers }),
      timeout: 300_000,
      stdio: ['pipe', 'ignore', 'inherit'],
    })
    const grants = await grantsHeld(gateway.adminPort)
    return { tokens, routes, grants, emptyBytes, fullBytes: residentBytes(gateway.pid) }
  } finally {
    await gateway.stop()
  }
}
