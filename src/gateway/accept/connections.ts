import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import type { Clock } from '../../core/clock.ts'
import type { Log } from '../../core/log.ts'
import type { PeerCertificate } from '../../core/peer-certificate.ts'
import { createAdmission } from './admission.ts'
import type { LimitsConfig, ListenerConfig, TrustedProxyConfig } from './config.ts'
import { type Connection, type ConnectionOptions, createConnection } from './connection.ts'
import { headDeadlineMs, type Server } from './http-server.ts'
import { certificateOf, hasBadCertificate } from './tls.ts'

/** Where a listener listens, and whom it believes; by default nobody. */
export type ListenerAddress = Pick<ListenerConfig, 'bind'> &
  Partial<Pick<ListenerConfig, 'trustedProxies'>> & {
    /** What its requests are known by; default `bind`. */
    readonly id?: string
  }

export interface ConnectionsOptions {
  readonly config: ListenerAddress
  readonly limits: () => LimitsConfig
  readonly clock: Clock
  readonly log: Log
  readonly onHeadLate: (connection: Connection) => void
}

/** The connections of one server. */
export interface Connections {
  readonly get: (socket: Duplex) => Connection | undefined
  readonly count: () => number
  /** Ends, after the replies that are under way, the connections whose caller has shown a certificate. */
  readonly retireCertified: () => void
  /** Proxies that may have any number of new connections, in place of those so far. */
  readonly trust: (trustedProxies: readonly TrustedProxyConfig[]) => void
  /** Takes no more connections, lets requests in flight finish, then cuts what is left. */
  readonly close: (drainTimeoutMs: number) => Promise<void>
}

/** Follows every connection of a server from its first byte to its end. */
export const trackConnections = (server: Server, options: ConnectionsOptions): Connections => {
  const { config, limits, clock, log, onHeadLate } = options
  const connections = new Map<Duplex, Connection>()
  // By peer: Node does not tell which of them an encrypted one belongs to.
  const handshaking = new Map<string, Socket>()
  const { admit, trust } = createAdmission(() => limits().connectionsPerAddress)
  trust(config.trustedProxies ?? [])
  const tooMany = createDropLog(options)

  const common: ConnectionOptions = {
    clock,
    maxHeadBytes: () => 4 * limits().headerBytes + 65_536,
    headTimeoutMs: () => headDeadlineMs(limits()),
    onHeadLate,
    onClose: ({ socket }) => connections.delete(socket),
  }

  const open = (socket: Socket, raw: Socket, peerCertificate: PeerCertificate | null): void => {
    connections.set(socket, createConnection(socket, common, raw, peerCertificate))
  }
  server.on('connection', (raw: Socket) => {
    if (!admit(raw)) {
      raw.destroy()
      tooMany('limits.connectionsPerAddress')
    } else if ('setSecureContext' in server) {
      const peer = peerOf(raw)
      handshaking.set(peer, raw)
      raw.once('close', () => {
        if (handshaking.get(peer) === raw) handshaking.delete(peer)
      })
    } else open(raw, raw, null)
  })
  server.on('secureConnection', (socket: TLSSocket) => {
    const peer = peerOf(socket)
    const raw = handshaking.get(peer) ?? socket
    handshaking.delete(peer)
    if (hasBadCertificate(socket)) {
      log.debug(
        { listener: config.bind, code: socket.authorizationError },
        'a client certificate is not good',
      )
      socket.destroy()
      return
    }
    open(socket, raw, certificateOf(socket))
  })
  server.on('tlsClientError', (error: Error, socket: TLSSocket) => {
    const code = socket.authorizationError ?? Reflect.get(error, 'code')
    log.debug({ listener: config.bind, code }, 'a TLS handshake failed')
    socket.destroy()
  })
  server.on('drop', () => tooMany('limits.connections'))
  return {
    get: (socket) => connections.get(socket),
    count: () => connections.size,
    retireCertified: () => {
      for (const connection of connections.values()) {
        if (connection.peerCertificate === null) continue
        if (connection.isBusy()) connection.close()
        else connection.finish()
      }
    },
    trust,
    close: (drainTimeoutMs) => {
      for (const raw of handshaking.values()) raw.destroy()
      return closeServer(server, connections, drainTimeoutMs)
    },
  }
}

const peerOf = ({ remoteAddress, remotePort, localAddress }: Socket): string =>
  `${remoteAddress} ${remotePort} ${localAddress}`

const DROP_LOG_INTERVAL_MS = 10_000

const createDropLog = ({ clock, config, log }: ConnectionsOptions): ((limit: string) => void) => {
  const counts = new Map<string, number>()
  let loggedAtMs = 0
  return (limit) => {
    counts.set(limit, (counts.get(limit) ?? 0) + 1)
    const nowMs = clock.nowMs()
    if (nowMs - loggedAtMs < DROP_LOG_INTERVAL_MS) return
    loggedAtMs = nowMs
    for (const [name, count] of counts) {
      log.warn({ listener: config.bind, count }, `connections over ${name} were closed`)
    }
    counts.clear()
  }
}

const closeServer = (
  server: Server,
  connections: ReadonlyMap<unknown, Connection>,
  drainTimeoutMs: number,
): Promise<void> =>
  new Promise((resolve) => {
    const cut = setTimeout(() => {
      for (const { socket } of connections.values()) socket.destroy()
    }, drainTimeoutMs)
    server.close(() => {
      clearTimeout(cut)
      resolve()
    })
    for (const connection of connections.values()) {
      connection.goAway()
      if (connection.isIdle()) connection.socket.destroy()
      else if (connection.isBusy()) connection.close()
    }
  })
