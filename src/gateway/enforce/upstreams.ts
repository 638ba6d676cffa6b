import { isIP } from 'node:net'
import { buildConnector } from 'undici'
import type { Clock } from '../../core/clock.ts'
import type { Log } from '../../core/log.ts'
import { type UpstreamConfig, upstreamUrls } from './config.ts'
import { type ConnectionPool, createConnectionPool } from './connection-pool.ts'
import type { UpstreamCredentials } from './credentials.ts'
import { startHealthCheck } from './health-check.ts'
import { createOriginHealth, type OriginHealth } from './origin-health.ts'
import { createPick } from './pick-origin.ts'
import { codeOf, isOriginsFault, isUnanswered, type UpstreamFailure } from './upstream-failure.ts'
import { SYSTEM_TRUST, type UpstreamTls } from './upstream-tls.ts'

/** One origin of an application, with its connections. */
export interface Origin {
  readonly dispatch: ConnectionPool['dispatch']
  /** `host` or `host:port` of the URL. */
  readonly authority: string
  /** What TLS asks for, whatever `Host` says; a caller must not choose it. */
  readonly serverName: string
  /** True while a connection that the origin has reset is being torn down. */
  readonly resetting: () => boolean
  /** Opens a connection that is the caller's alone; `maxConnections` does not count it. */
  readonly open: (opened: buildConnector.Callback) => void
  /** To be called when an answer begins. */
  readonly answered: () => void
  /** To be called when a request that went here failed. */
  readonly failed: (failure: UpstreamFailure) => void
}

/** An origin as its metrics show it. */
export interface OriginStatus {
  readonly authority: string
  readonly isOut: boolean
}

export interface UpstreamStatus {
  readonly origins: readonly OriginStatus[]
  /** Requests that were sent once more, or to another origin. */
  readonly retries: number
}

export interface Upstream {
  readonly name: string
  readonly config: UpstreamConfig
  /** Null: the application is shown nothing. */
  readonly credentials: UpstreamCredentials | null
  /** The origin for the next request; null: none can be reached now, or none that was not tried. */
  readonly pick: (tried?: ReadonlySet<Origin>) => Origin | null
  /** Why an origin failed last, for operators; empty when none has. */
  readonly latestFailure: () => string
  /** A request is sent once more. */
  readonly retried: () => void
  readonly status: () => UpstreamStatus
}

/** An upstream with the connections that are its own. */
export interface OwnedUpstream extends Upstream {
  /** Waits for the requests under way; when the signal is aborted, cuts them. */
  readonly close: (signal?: AbortSignal) => Promise<void>
}

export interface Upstreams {
  readonly get: (name: string) => Upstream | undefined
}

export interface UpstreamParts {
  readonly clock: Pick<Clock, 'monotonicUs'>
  readonly log: Log
  /** How the certificates of `https:` origins are verified; default as the system does. */
  readonly tls?: UpstreamTls
  /** Default: nothing is shown. */
  readonly credentials?: UpstreamCredentials | null
}

/** An application with a pool of HTTP/1.1 connections an origin; nothing is connected yet, and checks begin after `interval`. */
export const createUpstream = (
  name: string,
  config: UpstreamConfig,
  { clock, log, tls = SYSTEM_TRUST, credentials = null }: UpstreamParts,
): OwnedUpstream => {
  const { failures, trialEvery } = config.breaker
  const created = upstreamUrls(config).map((text) => {
    const url = new URL(text)
    const onChange = (isOut: boolean, code: string): void => {
      const fields = { upstream: name, origin: url.host, code }
      if (isOut) log.warn(fields, 'an origin keeps failing, and is left out where others serve')
      else log.info({ upstream: name, origin: url.host }, 'an origin serves again')
    }
    const health = createOriginHealth({ clock, failures, trialEveryMs: trialEvery, onChange })
    return { ...createOrigin(url, config, tls, health), health }
  })
  const pools = created.map(({ pool }) => pool)
  let retries = 0
  return {
    name,
    config,
    credentials,
    pick: createPick(created.map(({ origin, health }) => ({ value: origin, health }))),
    latestFailure: () => created.map(({ health }) => health.latest()).find((code) => code !== '') ?? '',
    retried: () => {
      retries += 1
    },
    status: () => ({
      origins: created.map(({ origin: { authority }, health }) => ({ authority, isOut: health.isOut() })),
      retries,
    }),
    close: async (signal) => {
      for (const { stopCheck } of created) stopCheck()
      await closeAll(pools, signal)
      credentials?.close()
    },
  }
}

const closeAll = (pools: readonly ConnectionPool[], signal?: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const over = (): void => {
      signal?.removeEventListener('abort', cut)
      resolve()
    }
    const cut = (): void => {
      void Promise.all(pools.map((pool) => pool.destroy())).then(over)
    }
    if (signal?.aborted === true) return cut()
    signal?.addEventListener('abort', cut, { once: true })
    void Promise.all(pools.map((pool) => pool.close())).then(over)
  })

const createOrigin = (
  url: URL,
  config: UpstreamConfig,
  tls: UpstreamTls,
  health: OriginHealth,
): { readonly origin: Origin; readonly pool: ConnectionPool; readonly stopCheck: () => void } => {
  const resets = watchResets(url, config.connectTimeout, tls, health)
  const address = {
    hostname: url.hostname.replace(/^\[|\]$/g, ''),
    host: url.host,
    protocol: url.protocol,
    port: url.port,
  }
  const pool = createConnectionPool(url.origin, config.maxConnections ?? null, {
    connect: resets.connect,
    headersTimeout: config.headersTimeout,
    bodyTimeout: config.bodyTimeout ?? 0,
    keepAliveTimeout: config.keepAliveTimeout,
    maxHeaderSize: config.maxHeaderBytes,
  })
  return {
    pool,
    stopCheck: checkOrigin(url, config, resets.connect, health),
    origin: {
      dispatch: pool.dispatch,
      authority: url.host,
      serverName: tls.serverName ?? url.hostname,
      resetting: resets.resetting,
      open: (opened) => resets.connect(address, opened),
      answered: health.answered,
      failed: (failure) => {
        if (isUnanswered(failure)) health.notAnswered(failure.code)
      },
    },
  }
}

const checkOrigin = (
  url: URL,
  { healthCheck, host }: UpstreamConfig,
  connect: buildConnector.connector,
  { checked }: OriginHealth,
): (() => void) => {
  if (healthCheck === undefined) return () => undefined
  return startHealthCheck({
    origin: url.origin,
    host: host === 'preserve' || host === 'upstream' ? url.host : host,
    path: healthCheck.path,
    intervalMs: healthCheck.interval,
    timeoutMs: healthCheck.timeout,
    connect,
    checked,
  })
}

/**
 * Opens connections, notes whether they come about, and tells a reset from an end.
 *
 * An answer without a length ends with its connection. undici takes a reset for such an end, by which an answer that
 * was cut would look whole; it does so within its own 'error' listener, between the two that are added here.
 */
const watchResets = (
  url: URL,
  timeoutMs: number,
  { ca, serverName, client }: UpstreamTls,
  health: OriginHealth,
) => {
  const connect = buildConnector({
    timeout: timeoutMs,
    allowH2: false,
    minVersion: 'TLSv1.2',
    ...(ca === null ? {} : { ca }),
    ...client,
  })
  const host = isIP(url.hostname.replace(/^\[|\]$/g, '')) === 0 ? url.hostname : undefined
  const name = serverName ?? host
  let resetting = false
  const connector: buildConnector.connector = (options, callback) => {
    // undici would take the server name from the caller's Host; an address has none and is verified as itself.
    const { servername: _chosen, ...rest } = options
    connect(name === undefined ? rest : { ...rest, servername: name }, (...result) => {
      const [error, socket] = result
      if (error === null) health.connected()
      else if (isOriginsFault(codeOf(error))) health.notConnected(codeOf(error))
      socket?.on('error', () => {
        resetting = true
      })
      callback(...result)
      socket?.on('error', () => {
        resetting = false
      })
    })
  }
  return { connect: connector, resetting: () => resetting }
}
