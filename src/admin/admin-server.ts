import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { joinBind, splitBind } from '../core/bind-address.ts'
import type { Log } from '../core/log.ts'
import type { AdminDeps } from './admin-deps.ts'
import { problem } from './answers.ts'
import { createCallLog } from './call-log.ts'
import { controlEndpoints } from './control-endpoints.ts'
import { decisionEndpoints } from './decisions/decision-endpoints.ts'
import type { StreamTimes } from './decisions/decision-stream.ts'
import { createDispatch } from './dispatch.ts'
import type { AdminAnswer, PlainAnswer } from './endpoint.ts'
import { explainEndpoint } from './explain-endpoint.ts'
import { openEndpoints } from './open-endpoints.ts'

export interface AdminServer {
  readonly address: () => string
  /** Resolves when the port is free again; streams are ended, and what is not done in a second is cut. */
  readonly close: () => Promise<void>
}

const MAX_CONNECTIONS = 256
const MAX_HEADER_BYTES = 16_384
const HEADERS_TIMEOUT_MS = 10_000
const REQUEST_TIMEOUT_MS = 30_000
const KEEP_ALIVE_MS = 5_000
/** A connection on which nothing moves for so long is cut, unless it carries a stream. */
const IDLE_MS = 60_000
/** What callers get to read the rest of an answer when the port is closed. */
const CLOSE_MS = 1_000

/**
 * The control plane's own port.
 *
 * @param bind `host:port`; port 0 picks a free one.
 * @param times of streams, for tests.
 * @throws when the port cannot be bound.
 */
export const startAdminServer = async (
  bind: string,
  deps: AdminDeps,
  times?: StreamTimes,
): Promise<AdminServer> => {
  const { settings, log, clock } = deps
  const streams = new Set<() => void>()
  const endpoints = [
    ...openEndpoints(deps),
    ...controlEndpoints(deps),
    explainEndpoint(deps),
    ...decisionEndpoints(deps, { open: streams, ...(times && { times }) }),
  ]
  const dispatch = createDispatch({ endpoints, bind, settings, ...createCallLog(log, clock) })
  const server = createHttpServer((request, response) => {
    dispatch(request, response).then(
      (answer) => give(request, response, answer),
      (bug: unknown) => fail(response, bug, log),
    )
  })
  await listen(server, bind)
  return {
    address: () => addressOf(server),
    close: () =>
      new Promise((resolve) => {
        const cut = setTimeout(() => server.closeAllConnections(), CLOSE_MS)
        server.close(() => {
          clearTimeout(cut)
          resolve()
        })
        for (const end of streams) end()
        server.closeIdleConnections()
      }),
  }
}

const createHttpServer = (
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

const give = (request: IncomingMessage, response: ServerResponse, answer: AdminAnswer): void => {
  if (response.destroyed) return
  if (!('stream' in answer)) return send(response, answer)
  if (request.method !== 'GET') return send(response, problem(405, 'expected GET', ['Allow', 'GET']))
  // It says itself when its reader has stalled.
  request.socket.setTimeout(0)
  answer.stream(response)
}

const send = (response: ServerResponse, { status, contentType, text, headers = [] }: PlainAnswer): void => {
  response.writeHead(status, [
    ...['Content-Type', contentType, 'Content-Length', String(Buffer.byteLength(text))],
    ...['Cache-Control', 'no-store', 'X-Content-Type-Options', 'nosniff'],
    // No page of another origin gets to embed it.
    ...['Cross-Origin-Resource-Policy', 'same-origin'],
    ...headers,
  ])
  response.end(text)
}

const fail = (response: ServerResponse, bug: unknown, log: Log): void => {
  // The caller went away while it was waited for something.
  if (response.destroyed) return
  log.error({ stack: bug instanceof Error ? bug.stack : String(bug) }, 'internal error in the admin port')
  if (response.headersSent) response.destroy()
  else send(response, problem(500, 'an internal error; its stack is in the log'))
}

const listen = (server: Server, bind: string): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(splitBind(bind), () => {
      server.off('error', reject)
      resolve()
    })
  })

const addressOf = (server: Server): string => {
  const address = server.address()
  // Null once it is closed; text for a socket of another kind, which this never is.
  return address === null || typeof address === 'string'
    ? ''
    : joinBind({ host: address.address, port: address.port })
}
