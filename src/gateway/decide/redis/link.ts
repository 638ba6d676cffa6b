import { Cluster, Redis } from 'ioredis'
import type { Log } from '../../../core/log.ts'
import type { RedisSettings } from './settings.ts'

export type Argument = string | number | Buffer

/** A connection, or several of a cluster, by which commands go to the primary. */
export interface RedisLink {
  /** Rejects when there is no connection, when Redis says no, and at the deadline. Never waits for a connection. */
  readonly call: (command: string, ...args: readonly Argument[]) => Promise<unknown>
  /** The same for commands that go together; all keys are in one slot. */
  readonly batch: (commands: readonly (readonly [string, ...Argument[]])[]) => Promise<readonly unknown[]>
  readonly close: () => void
}

/** One that never came back would otherwise be waited for by the system's own, much longer times. */
const SOCKET_TIMEOUT_MS = 10_000
const CONNECT_TIMEOUT_MS = 2_000
const RECONNECT_MS = { first: 50, most: 1_000 }

/** @param timeoutMs of each command. */
export const createRedisLink = (
  settings: RedisSettings,
  options: { readonly timeoutMs: number; readonly name: string; readonly log: Log },
): RedisLink => {
  const { log, name, timeoutMs } = options
  const client = connect(settings, timeoutMs, name)
  // One that is sent on to other nodes of a cluster has the deadline at each of them.
  const inTime = <T>(work: Promise<T>): Promise<T> =>
    settings.place.kind === 'cluster' ? within(work, timeoutMs) : work
  let told = false
  client.on('error', (error: Error) => {
    if (told) return
    told = true
    log.warn({ connection: name, code: Reflect.get(error, 'code') ?? error.name }, 'Redis cannot be reached')
  })
  client.on('ready', () => {
    if (told) log.info({ connection: name }, 'Redis can be reached again')
    told = false
  })
  return {
    call: (command, ...args) => inTime(client.call(command, ...args.map(String))),
    batch: async (commands) => {
      const pipeline = client.pipeline(
        commands.map(([command, ...args]) => [command.toLowerCase(), ...args.map(String)]),
      )
      const replies = await inTime(pipeline.exec())
      return (replies ?? []).map(([error, reply]) => {
        if (error !== null) throw error
        return reply
      })
    },
    close: () => client.disconnect(),
  }
}

const within = <T>(work: Promise<T>, timeoutMs: number): Promise<T> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('no answer in time')), timeoutMs)
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
    commandTimeout: timeoutMs,
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
