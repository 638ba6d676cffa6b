import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { joinBind, splitBind } from '../core/bind-address.ts'

const MAX_CONNECTIONS = 256
const MAX_HEADER_BYTES = 16_384
const HEADERS_TIMEOUT_MS = 10_000
const REQUEST_TIMEOUT_MS = 30_000
const KEEP_ALIVE_MS = 5_000
/** A connection on which nothing moves for so long is cut, unless it carries a stream. */
const IDLE_MS = 60_000

/** Lets connections to `bind` reach a server. Rejects when the address cannot be bound. */
export type AdminDoor = (server: Server, bind: string) => Promise<OpenDoor>

export interface OpenDoor {
  readonly address: () => string
  /** Lets no more connections in; resolves when the last one has ended. */
  readonly close: () => Promise<void>
  /** Ends those that are left. */
  readonly cut: () => void
}

/** A server that is no load on the gateway, whoever calls it. */
export const createAdminHttpServer = (
  onRequest: (request: IncomingMessage, response: ServerResponse) => void,
): Server => {
  const server = createServer(
    {
      maxHeaderSize: MAX_HEADER_BYTES,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: 2_000,
    },
    onRequest,
  )
  server.maxConnections = MAX_CONNECTIONS
  server.timeout = IDLE_MS
  return server
}

/** The server listens itself. */
export const ownDoor: AdminDoor = (server, bind) =>
  new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(splitBind(bind), () => {
      server.off('error', reject)
      resolve({
        address: () => addressOf(server),
        close: () => new Promise((closed) => server.close(() => closed())),
        cut: () => server.closeAllConnections(),
      })
    })
  })

const addressOf = (server: Server): string => {
  const address = server.address()
  // Null once it is closed; text for a socket of another kind, which this never is.
  return address === null || typeof address === 'string'
    ? ''
    : joinBind({ host: address.address, port: address.port })
}
