import { createServer, type Server as HttpServer } from 'node:http'
import { createServer as createTlsServer, type Server as HttpsServer } from 'node:https'
import type { AddressInfo, Server as TcpServer } from 'node:net'
import { joinBind, splitBind } from '../../core/bind-address.ts'
import type { LimitsConfig } from './config.ts'
import { ServerRequest } from './server-request.ts'
import type { TlsSwitch } from './tls.ts'

export type Server = HttpServer<typeof ServerRequest> | HttpsServer<typeof ServerRequest>

/** Node's server, with everything off that it would do to a request by itself. */
export const createHttpServer = (limits: LimitsConfig, tls: TlsSwitch | null): Server => {
  const options = {
    // Default: 30 s, which would let a slow request live that much longer.
    connectionsCheckingInterval: 1_000,
    noDelay: true,
    insecureHTTPParser: false,
    // Node would answer by itself, without a record.
    requireHostHeader: false,
    // The body has deadlines of its own.
    requestTimeout: 0,
    IncomingMessage: ServerRequest,
  }
  const server: Server =
    tls === null
      ? createServer(options)
      : createTlsServer({
          ...options,
          ...tls.options,
          handshakeTimeout: limits.headersTimeout,
          allowHalfOpen: true,
        })
  // More than that many fields would be dropped without a word; the bytes are bounded.
  server.maxHeadersCount = 0
  server.maxRequestsPerSocket = 0
  server.timeout = 0
  applyLimits(server, limits)
  // Or Node would drop the answer to a caller that has ended its side; the connection bounds how long it waits.
  return Object.assign(server, { httpAllowHalfOpen: true })
}

export const headDeadlineMs = ({ headersTimeout, requestTimeout }: LimitsConfig): number =>
  Math.min(headersTimeout, requestTimeout)

/** Past the deadline that each connection has itself, which does not see all: see `createConnection`. */
const BEHIND_DEADLINE_MS = 1_000

export const applyLimits = (server: Server, limits: LimitsConfig): void => {
  server.headersTimeout = headDeadlineMs(limits) + BEHIND_DEADLINE_MS
  server.keepAliveTimeout = limits.keepAliveTimeout
  server.maxConnections = limits.connections
  // Documented only as an option; Node reads it off the server for each new connection.
  Object.assign(server, { maxHeaderSize: limits.headerBytes })
}

/** @returns `host:port`, with the port that the system gave for port 0. */
export const listen = (server: TcpServer, bind: string): Promise<string> =>
  new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(splitBind(bind), () => {
      server.off('error', reject)
      // An address object is certain here: the server listens on TCP.
      const { address: host, port } = server.address() as AddressInfo
      resolve(joinBind({ host, port }))
    })
  })
