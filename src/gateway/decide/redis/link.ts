import { Cluster, Redis } from 'ioredis'
import type { Clock } from '../../../core/clock.ts'
import type { Log } from '../../../core/log.ts'
import type { SharedWait } from '../../../core/shared-wait.ts'
import { addressOf, isRefusedByRedis, type RedisFailure, reasonCodeOf, redisFailure } from './failure.ts'
import type { RedisSettings } from './settings.ts'

export type Argument = string | number | Buffer

export interface RedisCommands {
  /** Rejects by a `RedisFailure`: without a connection, when Redis says no, and at the deadline. Never waits for a connection. */
  readonly call: (command: string, ...args: readonly Argument[]) => Promise<unknown>
  /** The same for commands that go together; all keys are in one slot. */
  readonly batch: (commands: readonly (readonly [string, ...Argument[]])[]) => Promise<readonly unknown[]>
}

/** A connection, or several of a cluster, by which commands go to the primary. */
export interface RedisLink extends RedisCommands {
  /**
   * The same, on which one request waits: all its commands have the deadline of one together, on whatever links they
   * are. Left out: nobody's. What comes when nothing is left is not sent.
   */
  readonly within: (wait: SharedWait | undefined) => RedisCommands
  readonly close: () => void
}

/** One that never came back would otherwise be waited for by the system's own, much longer times. */
const SOCKET_TIMEOUT_MS = 10_000
const CONNECT_TIMEOUT_MS = 2_000
const OWN_SLACK_MS = 250
const RECONNECT_MS = { first: 50, most: 1_000 }

/** @param timeoutMs of each command, and of all together on which one request waits. */
export const createRedisLink = (
  settings: RedisSettings,
  options: {
    readonly timeoutMs: number
    readonly name: string
    readonly log: Log
    readonly clock: Pick<Clock, 'monotonicUs'>
  },
): RedisLink => {
  const { log, name, timeoutMs, clock } = options
  const client = connect(settings, timeoutMs, name)
  const told = tellOf(client, name, log)
  const close = keepTrying(client)
  const at = addressOf(settings.place)

  /** In our words, and without what the client's own error holds: the command, and with it what was sent. */
  const failureOf = (error: unknown, ms: number): RedisFailure => {
    if (error === LATE)
      return redisFailure('REDIS_TIMEOUT', `Redis at ${at} has not answered within ${ms} ms`)
    if (isRefusedByRedis(error)) return redisFailure('REDIS_REFUSED', error.message)
    const why = told()
    return redisFailure(
      'REDIS_UNREACHABLE',
      `Redis is not reachable at ${at}${why === '' ? '' : ` (${why})`}`,
    )
  }

  const inTime = async <T>(start: () => Promise<T>, ms: number): Promise<T> => {
    try {
      return await before(start(), ms)
    } catch (error) {
      throw failureOf(error, ms)
    }
  }

  const counted = async <T>(start: () => Promise<T>, wait: SharedWait): Promise<T> => {
    const nowUs = clock.monotonicUs()
    const leftMs = wait.leftMs(timeoutMs, nowUs)
    if (leftMs === 0)
      throw redisFailure('REDIS_WAIT_OVER', `the request has waited ${timeoutMs} ms for Redis already`)
    wait.begin(nowUs)
    try {
      return await inTime(start, leftMs)
    } finally {
      wait.end(clock.monotonicUs())
    }
  }

  const commands = (run: <T>(start: () => Promise<T>) => Promise<T>): RedisCommands => ({
    call: (command, ...args) => run(() => client.call(command, ...args.map(String))),
    batch: (batched) => run(() => pipelined(client, batched)),
  })

  return {
    ...commands((start) => inTime(start, timeoutMs)),
    within: (wait) =>
      commands((start) => (wait === undefined ? inTime(start, timeoutMs) : counted(start, wait))),
    close,
  }
}

const pipelined = async (
  client: Redis | Cluster,
  commands: readonly (readonly [string, ...Argument[]])[],
): Promise<readonly unknown[]> => {
  const pipeline = client.pipeline(
    commands.map(([command, ...args]) => [command.toLowerCase(), ...args.map(String)]),
  )
  const replies = await pipeline.exec()
  return (replies ?? []).map(([error, reply]) => {
    if (error !== null) throw error
    return reply
  })
}

/**
 * Tries again where the client does not: it gives up for good when a failover is told just as it asks the Sentinels for
 * the new primary.
 *
 * @returns what ends it.
 */
const keepTrying = (client: Redis | Cluster): (() => void) => {
  let closed = false
  const tryAgain = (): void => {
    if (!closed) client.connect().catch(() => undefined)
  }
  client.on('end', () => {
    if (!closed) setTimeout(tryAgain, backOff(1)).unref()
  })
  return () => {
    closed = true
    client.disconnect()
  }
}

/** Logs once that it cannot be reached, and once that it can again. @returns why it cannot, as a code; empty: unknown. */
const tellOf = (client: Redis | Cluster, name: string, log: Log): (() => string) => {
  let told = false
  let why = ''
  client.on('error', (error: Error) => {
    why = reasonCodeOf(error)
    if (told) return
    told = true
    log.warn({ connection: name, code: why === '' ? error.name : why }, 'Redis cannot be reached')
  })
  client.on('ready', () => {
    if (told) log.info({ connection: name }, 'Redis can be reached again')
    told = false
    why = ''
  })
  return () => why
}

const LATE = Symbol('no answer in time')

const before = <T>(work: Promise<T>, ms: number): Promise<T> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(LATE), ms)
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })

const backOff = (times: number): number =>
  Math.min(RECONNECT_MS.most, RECONNECT_MS.first * times) * (0.5 + Math.random() / 2)

const connect = (settings: RedisSettings, timeoutMs: number, name: string): Redis | Cluster => {
  const { username, password, tls } = settings
  const common = {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password: password.reveal() }),
    ...(tls === null ? {} : { tls: tls.ca === null ? {} : { ca: tls.ca } }),
    protocol: 2 as const,
    connectionName: `sallyport-${name}`,
    disableClientInfo: true,
    // Of what the client asks by itself, and after ours, which tells what was late.
    commandTimeout: timeoutMs + OWN_SLACK_MS,
    connectTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: SOCKET_TIMEOUT_MS,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // A primary that was demoted: somewhere is another one.
    reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
  }
  const { place } = settings
  if (place.kind === 'cluster') {
    return new Cluster([...place.nodes], {
      enableOfflineQueue: false,
      redisOptions: common,
      clusterRetryStrategy: backOff,
      slotsRefreshTimeout: CONNECT_TIMEOUT_MS,
      slotsRefreshInterval: 5_000,
      maxRedirections: 4,
      retryDelayOnFailover: 20,
      retryDelayOnClusterDown: 20,
    })
  }
  const single = { ...common, enableOfflineQueue: false, retryStrategy: backOff, db: place.db }
  if (place.kind === 'single') return new Redis({ ...single, host: place.host, port: place.port })
  const { sentinelPassword } = settings
  return new Redis({
    ...single,
    sentinels: [...place.nodes],
    name: place.name,
    sentinelRetryStrategy: backOff,
    sentinelCommandTimeout: CONNECT_TIMEOUT_MS,
    failoverDetector: true,
    ...(sentinelPassword === undefined ? {} : { sentinelPassword: sentinelPassword.reveal() }),
    ...(tls === null
      ? {}
      : { enableTLSForSentinelMode: true, sentinelTLS: tls.ca === null ? {} : { ca: tls.ca } }),
  })
}
