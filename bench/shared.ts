import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { Pool } from 'undici'
import { fillGrants } from './fill-grants.ts'
import { median } from './median.ts'
import { findCommand, freePort, pinned, type Running, startProcess } from './processes.ts'
import { ADMIN_TOKEN, type SallyportProcess, startSallyport } from './subjects.ts'
import { HOST } from './world.ts'

/** Grants in a Redis that two gateways share, and marks from one to the other. */
export interface Shared {
  readonly grants: number
  readonly bytesPerGrant: number
  /** Of a request that finds its grant in Redis, and of the same request once more. */
  readonly sharedHitP50Us: number
  readonly memoryHitP50Us: number
  readonly marks: number
  /** From asking one gateway to revoke until the other one refuses. */
  readonly markToEffectP50Us: number
  readonly markToEffectP99Us: number
}

const MARKS = 200
/** Not counted: a gateway that has just started compiles what it runs. */
const MARKS_BEFORE = 40
const GRANTS = 1_000_000
/** Callers whose grants one gateway made, and another one finds. */
const TOKENS = 100
const PER_TOKEN = 10
const ROUTES = 200
const BACKGROUND_PER_SECOND = 500

/** Null where there is no Redis. */
export const measureShared = async (backendPort: number): Promise<Shared | null> => {
  const redisServer = findCommand('redis-server')
  if (redisServer === null) return null
  const redisPort = await freePort()
  const redis = await startProcess(
    'surroundings',
    [redisServer, '--port', String(redisPort), '--save', '', '--bind', '127.0.0.1'],
    redisPort,
  )
  const gateways: Running[] = []
  const start = async (): Promise<SallyportProcess> => {
    const store = `store: "redis://127.0.0.1:${redisPort}/0", secret: { env: BENCH_GRANTS_SECRET }, ttl: 5m, maxEntries: 200000, maxBytes: 268435456`
    const gateway = await startSallyport({ backendPort, routes: ROUTES, grants: 'ttl: 5m', store })
    gateways.push(gateway)
    return gateway
  }
  try {
    const first = await start()
    // One configuration, and so one key of tokens, for both.
    const second = await startSallyport({ sameAs: first.world })
    gateways.push(second)
    const marks = await measureMarks(first, second)
    const before = await redisMemory(redisPort)
    await fillGrants(redisPort, GRANTS)
    const bytesPerGrant = ((await redisMemory(redisPort)) - before) / GRANTS
    const tokens = Array.from({ length: TOKENS }, (_, at) => first.world.token(`caller-${at}`))
    makeGrants(first.port, tokens)
    const hits = await measureHits(second.port, tokens)
    return { grants: GRANTS, bytesPerGrant, ...hits, marks: MARKS, ...marks }
  } finally {
    await Promise.all(gateways.map(({ stop }) => stop()))
    await redis.stop()
  }
}

/** By their requests. */
const makeGrants = (port: number, tokens: readonly string[]): void => {
  const program = fileURLToPath(new URL('./many-callers.js', import.meta.url))
  const [file, args] = pinned('surroundings', [process.execPath, program])
  execFileSync(file, args, {
    input: JSON.stringify({ port, host: HOST, routes: ROUTES, perToken: PER_TOKEN, tokens }),
    timeout: 300_000,
    stdio: ['pipe', 'ignore', 'inherit'],
  })
}

const redisMemory = async (port: number): Promise<number> => {
  const socket = connect(port, '127.0.0.1')
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1')
  })
  socket.write('INFO memory\r\n')
  while (!/used_memory:\d+\r\n/.test(text)) await once(socket, 'data')
  socket.destroy()
  return Number(/used_memory:(\d+)/.exec(text)?.[1])
}

const ask = async (pool: Pool, path: string, token: string): Promise<number> => {
  const headers = { host: HOST, authorization: `Bearer ${token}` }
  const { statusCode, body } = await pool.request({ method: 'GET', path, headers })
  await body.dump()
  return statusCode
}

const timed = async (step: () => Promise<unknown>): Promise<number> => {
  const startedMs = performance.now()
  await step()
  return (performance.now() - startedMs) * 1000
}

/** The first request of a token verifies it, and is not counted. */
const measureHits = async (
  port: number,
  tokens: readonly string[],
): Promise<Pick<Shared, 'sharedHitP50Us' | 'memoryHitP50Us'>> => {
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: 1 })
  const shared: number[] = []
  const memory: number[] = []
  for (const [at, token] of tokens.entries()) {
    for (let number = at * PER_TOKEN; number < (at + 1) * PER_TOKEN; number += 1) {
      const route = number % ROUTES
      const path = route === 0 ? `/accounts/${number}` : `/s${route}/accounts/${number}`
      const us = await timed(() => ask(pool, path, token))
      if (number % PER_TOKEN !== 0) {
        shared.push(us)
        memory.push(await timed(() => ask(pool, path, token)))
      }
    }
  }
  await pool.close()
  return { sharedHitP50Us: median(shared), memoryHitP50Us: median(memory) }
}

const measureMarks = async (
  first: SallyportProcess,
  second: SallyportProcess,
): Promise<Pick<Shared, 'markToEffectP50Us' | 'markToEffectP99Us'>> => {
  const pool = new Pool(`http://127.0.0.1:${second.port}`, { connections: 8 })
  const other = first.world.token('background')
  const load = setInterval(() => void ask(pool, '/accounts/42', other), 1000 / BACKGROUND_PER_SECOND)
  const took: number[] = []
  for (let mark = 0; mark < MARKS_BEFORE + MARKS; mark += 1) {
    const token = first.world.token(`revoked-${mark}`)
    const status = await ask(pool, '/accounts/42', token)
    if (status !== 200) throw new Error(`a caller who is not revoked was answered ${status}`)
    const us = await revokeAndWait(first, `User::revoked-${mark}`, pool, token)
    if (mark >= MARKS_BEFORE) took.push(us)
  }
  clearInterval(load)
  await pool.close()
  const sorted = took.toSorted((a, b) => a - b)
  return {
    markToEffectP50Us: median(took),
    markToEffectP99Us: sorted[Math.ceil(0.99 * sorted.length) - 1] ?? 0,
  }
}

const REFUSED_WITHIN_MS = 10_000

/** Until the other gateway refuses; the answer to the revocation, which tells how many have applied it, may come later. */
const revokeAndWait = async (
  { adminPort }: SallyportProcess,
  subject: string,
  pool: Pool,
  token: string,
): Promise<number> => {
  const startedMs = performance.now()
  const revoked = fetch(`http://127.0.0.1:${adminPort}/v1/revocations`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify({ subject, effect: 'credentials', reason: 'bench' }),
  })
  const deadlineMs = performance.now() + REFUSED_WITHIN_MS
  while ((await ask(pool, '/accounts/42', token)) !== 401) {
    if (performance.now() > deadlineMs) throw new Error(`a mark had no effect in ${REFUSED_WITHIN_MS} ms`)
  }
  const us = (performance.now() - startedMs) * 1000
  const response = await revoked
  if (!response.ok) throw new Error(`a mark was answered ${response.status}: ${await response.text()}`)
  return us
}
