import { isIP } from 'node:net'
import { buildConnector, type Dispatcher, Pool } from 'undici'
import { type UpstreamConfig, upstreamUrls } from './config.ts'
import type { UpstreamCredentials } from './credentials.ts'
import { SYSTEM_TRUST, type UpstreamTls } from './upstream-tls.ts'

/** One origin of an application, with its connections. */
export interface Origin {
  readonly dispatcher: Dispatcher
  /** `host` or `host:port` of the URL. */
  readonly authority: string
  /** What TLS asks for, whatever `Host` says; a caller must not choose it. */
  readonly serverName: string
  /** True while a connection that the origin has reset is being torn down. */
  readonly resetting: () => boolean
  /** Opens a connection that is the caller's alone; `maxConnections` does not count it. */
  readonly open: (opened: buildConnector.Callback) => void
}

export interface Upstream {
  readonly name: string
  readonly config: UpstreamConfig
  /** Null: the application is shown nothing. */
  readonly credentials: UpstreamCredentials | null
  /** The origin for the next request: each in turn. */
  readonly pick: () => Origin
}

/** An upstream with the connections that are its own. */
export interface OwnedUpstream extends Upstream {
  /** Waits for the requests under way; when the signal is aborted, cuts them. */
  readonly close: (signal?: AbortSignal) => Promise<void>
}

export interface Upstreams {
  readonly get: (name: string) => Upstream | undefined
}

/**
 * An application with a pool of HTTP/1.1 connections an origin; nothing is connected yet.
 *
 * @param tls how the certificates of `https:` origins are verified; by default as the system does.
 * Does not check: whether an origin is healthy. A dead one of several gets its turn all the same.
 */
export const createUpstream = (
  name: string,
  config: UpstreamConfig,
  tls: UpstreamTls = SYSTEM_TRUST,
  credentials: UpstreamCredentials | null = null,
): OwnedUpstream => {
  const created = upstreamUrls(config).map((url) => createOrigin(new URL(url), config, tls))
  const pools = created.map(({ pool }) => pool)
  return {
    name,
    config,
    credentials,
    pick: inTurn(
      name,
      created.map(({ origin }) => origin),
    ),
    close: async (signal) => {
      await closeAll(pools, signal)
      credentials?.close()
    },
  }
}

/** A pool that is destroyed while requests wait in it never says that it has closed; so its end is not waited for. */
const closeAll = (pools: readonly Pool[], signal?: AbortSignal): Promise<void> =>
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

const inTurn = (name: string, origins: readonly Origin[]): (() => Origin) => {
  let turn = 0
  return () => {
    const origin = origins[turn % origins.length]
    if (origin === undefined) throw new Error(`upstream ${name} has no origin`)
    turn = (turn + 1) % origins.length
    return origin
  }
}

const createOrigin = (
  url: URL,
  config: UpstreamConfig,
  tls: UpstreamTls,
): { readonly origin: Origin; readonly pool: Pool } => {
  const resets = watchResets(url, config.connectTimeout, tls)
  const address = {
    hostname: url.hostname.replace(/^\[|\]$/g, ''),
    host: url.host,
    protocol: url.protocol,
    port: url.port,
  }
  const pool = new Pool(url.origin, {
    connect: resets.connect,
    connections: config.maxConnections ?? null,
    pipelining: 1,
    allowH2: false,
    headersTimeout: config.headersTimeout,
    bodyTimeout: config.bodyTimeout ?? 0,
    keepAliveTimeout: config.keepAliveTimeout,
    maxHeaderSize: config.maxHeaderBytes,
  })
  return {
    pool,
    origin: {
      dispatcher: pool,
      authority: url.host,
      serverName: tls.serverName ?? url.hostname,
      resetting: resets.resetting,
      open: (opened) => resets.connect(address, opened),
    },
  }
}

/**
 * Opens connections, and tells a reset from an end.
 *
 * An answer without a length ends with its connection. undici takes a reset for such an end, by which an answer that
 * was cut would look whole; it does so within its own 'error' listener, between the two that are added here.
 */
const watchResets = (url: URL, timeoutMs: number, { ca, serverName, client }: UpstreamTls) => {
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
      const [, socket] = result
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
