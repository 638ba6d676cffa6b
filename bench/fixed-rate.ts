// A load at a fixed rate, as a program of its own so that it can be pinned: prints its result as one line of JSON.
// wrk has no fixed rate and autocannon tells whole milliseconds, which is more than most of these answers take.
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { performance } from 'node:perf_hooks'

interface Plan {
  readonly port: number
  readonly path: string
  readonly host: string
  readonly token: string
  readonly ratePerSecond: number
  readonly seconds: number
  readonly connections: number
}

const plan = JSON.parse(readFileSync(0, 'utf8')) as Plan
const TICK_MS = 1

const request = Buffer.from(
  `GET ${plan.path} HTTP/1.1\r\nHost: ${plan.host}\r\nAuthorization: Bearer ${plan.token}\r\n\r\n`,
)

const idle: Socket[] = []
/** When each request that has no connection yet was due. */
const waiting: number[] = []
const latenciesMs: number[] = []
let failures = 0

const lengthOf = (head: string): number => Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? Number.NaN)

const createCaller = (socket: Socket) => {
  let dueAt = 0
  let received = ''
  const send = (due: number): void => {
    dueAt = due
    received = ''
    socket.write(request)
  }
  const onAnswer = (): void => {
    latenciesMs.push(performance.now() - dueAt)
    if (!received.startsWith('HTTP/1.1 2')) failures += 1
    const next = waiting.shift()
    if (next === undefined) idle.push(socket)
    else send(next)
  }
  socket.on('data', (chunk) => {
    received += chunk.toString('latin1')
    const end = received.indexOf('\r\n\r\n')
    if (end !== -1 && received.length >= end + 4 + lengthOf(received.slice(0, end))) onAnswer()
  })
  socket.on('error', () => {
    failures += 1
  })
  return send
}

const callers = new Map<Socket, (due: number) => void>()
await Promise.all(
  Array.from(
    { length: plan.connections },
    () =>
      new Promise<void>((resolve, reject) => {
        const socket = connect(plan.port, '127.0.0.1', () => {
          socket.setNoDelay(true)
          callers.set(socket, createCaller(socket))
          idle.push(socket)
          resolve()
        })
        socket.once('error', reject)
      }),
  ),
)

const startedAt = performance.now()
const elapsedMs = (): number => performance.now() - startedAt
let sent = 0

/**
 * Sends all that is due by now. A request counts from this moment, or from when it began to wait for a
 * connection: that the timer is late is this program's fault, that all connections are busy is the subject's.
 */
const tick = (): void => {
  const now = performance.now()
  const due = Math.min(((now - startedAt) / 1000) * plan.ratePerSecond, plan.ratePerSecond * plan.seconds)
  for (; sent < due; sent += 1) {
    const socket = idle.shift()
    if (socket === undefined) waiting.push(now)
    else callers.get(socket)?.(now)
  }
}

await new Promise<void>((resolve) => {
  const timer = setInterval(() => {
    tick()
    if (elapsedMs() < plan.seconds * 1000) return
    clearInterval(timer)
    resolve()
  }, TICK_MS)
})

// What is still under way after this long is counted as a failure, never left out.
const patienceMs = elapsedMs() + 10_000
while (latenciesMs.length < sent && elapsedMs() < patienceMs)
  await new Promise((resolve) => setTimeout(resolve, 10))
failures += sent - latenciesMs.length

latenciesMs.sort((a, b) => a - b)
const at = (share: number): number =>
  Math.round(
    (latenciesMs[Math.min(latenciesMs.length - 1, Math.floor(latenciesMs.length * share))] ?? 0) * 1000,
  )
process.stdout.write(
  `${JSON.stringify({ requests: sent, failures, p50Us: at(0.5), p99Us: at(0.99), requestsPerSecond: sent / plan.seconds })}\n`,
)
process.exit(0)
