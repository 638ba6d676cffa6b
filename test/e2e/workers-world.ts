import { generateKeyPairSync } from 'node:crypto'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type RawBackend, startRawBackend } from '../support/backend.ts'
import {
  type GatewayProcess,
  type LoggedRecord,
  layOut,
  readRecords,
  startGatewayProcess,
  type World,
} from '../support/gateway.ts'
import { rawRequest } from '../support/raw-http.ts'
import { get, type WorldChanges, world } from './live-world.ts'

export const ADMIN_TOKEN = 'the-token-of-this-test'

export interface AdminReply {
  readonly status: number
  readonly text: string
  /** Null when it is not JSON. */
  readonly json: Readonly<Record<string, unknown>> | null
}

export interface WorkersWorld {
  readonly directory: string
  readonly gateway: GatewayProcess
  readonly backend: RawBackend
  /** The log of each worker, by its number. */
  readonly logs: readonly string[]
  readonly records: () => readonly (readonly LoggedRecord[])[]
  readonly ask: (path: string, init?: RequestInit) => Promise<AdminReply>
  /** Requests until every worker has answered one; what each of them was answered with. */
  readonly statuses: (path: string) => Promise<ReadonlySet<number>>
}

/** A key that all workers sign with. */
export const signingKey = (): string =>
  JSON.stringify(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }))

/** The files of a gateway with several workers. */
export const workersFiles = (backendUrl: string, count: number, changes: WorldChanges = {}): World => ({
  ...world(backendUrl, {
    ...changes,
    more: [
      `workers: ${count}`,
      'assertion: { keyFile: assertion.jwk }',
      'admin: { bind: "127.0.0.1:0", token: { env: ADMIN_TOKEN } }',
      changes.more ?? '',
    ].join('\n'),
  }),
  'config/assertion.jwk': signingKey(),
})

/** Starts `bin/sallyport serve` with several workers; all ends with the test. */
export const startWorkers = async (
  t: TestContext,
  count: number,
  changes: WorldChanges = {},
): Promise<WorkersWorld> => {
  const backend = await startRawBackend()
  const directory = layOut(workersFiles(backend.url, count, changes))
  const gateway = await startGatewayProcess(directory, { env: { ADMIN_TOKEN } })
  t.after(async () => {
    gateway.child.kill('SIGKILL')
    await gateway.ended
    await backend.close()
    rmSync(directory, { recursive: true, force: true })
  })
  const logs = Array.from({ length: count }, (_, index) => join(directory, `log/decisions.${index}.ndjson`))
  const records = () => logs.map((log) => (existsSync(log) ? readRecords(log) : []))
  return {
    directory,
    gateway,
    backend,
    logs,
    records,
    ask: (path, init) => askAdmin(gateway.admin ?? '', path, init),
    statuses: async (path) => {
      const before = records().map((each) => each.length)
      const seen = new Set<number>()
      do seen.add((await rawRequest(gateway.port, get(path))).status)
      while (records().some((each, index) => each.length === before[index]))
      return seen
    },
  }
}

const askAdmin = async (admin: string, path: string, init: RequestInit = {}): Promise<AdminReply> => {
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}` }
  const reply = await fetch(`http://${admin}${path}`, { headers, ...init })
  const text = await reply.text()
  const isJson = reply.headers.get('content-type')?.includes('json') === true
  return { status: reply.status, text, json: isJson ? JSON.parse(text) : null }
}

/** Asks again and again until what was answered is right. */
export const until = async <T>(ask: () => Promise<T>, isRight: (value: T) => boolean): Promise<T> => {
  const deadline = AbortSignal.timeout(20_000)
  for (;;) {
    const value = await ask()
    if (isRight(value)) return value
    deadline.throwIfAborted()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
