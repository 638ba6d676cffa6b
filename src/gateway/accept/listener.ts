import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Clock } from '../../core/clock.ts'
import type { Exchange } from '../../core/exchange.ts'
import { headerValues } from '../../core/headers.ts'
import type { Log } from '../../core/log.ts'
import type { Refusal } from '../../core/refusals.ts'
import type { RefusedRequest } from '../pipeline.ts'
import type { LimitsConfig, ListenerConfig } from './config.ts'
import { type Connection, createConnection } from './connection.ts'
import { createHttpExchange, createRawExchange } from './http-exchange.ts'
import {
  bodyError,
  CONNECTION_LOST,
  parserErrorCode,
  refusalOfParser,
  UNKNOWN_EXPECTATION,
  UNKNOWN_VERSION,
} from './parser-refusal.ts'
import { type PartialHead, readPartialHead } from './partial-head.ts'
import type { RequestBody } from './request-body.ts'
import { badRequest, describeHead } from './request-facts.ts'

export interface ListenerDeps {
  readonly config: Pick<ListenerConfig, 'bind'>
  readonly limits: LimitsConfig
  readonly clock: Clock
  readonly log: Log
  /** Gets every request whose head could be read; its `reply` must be ended or aborted. */
  readonly onExchange: (exchange: Exchange) => void
  /** Gets what is refused before that, with a way to answer it. */
  readonly onParserRefusal: (exchange: Exchange, refused: RefusedRequest) => void
}

export interface Listener {
  /** @returns `host:port`, with the port that was given by the system for port 0. Rejects when it cannot listen. */
  readonly listen: () => Promise<string>
  /** Other limits from now on; `headerBytes` and `connections` are for new connections only. */
  readonly setLimits: (limits: LimitsConfig) => void
  /** Takes no more connections, lets requests in flight finish, then cuts what is left. */
  readonly close: (drainTimeoutMs: number) => Promise<void>
}

/**
 * An HTTP/1.1 server on plain TCP that hands each request over as an `Exchange`.
 *
 * What Node's parser refuses is handed over too, so that it has a record and an answer; after such a refusal
 * no byte of that connection is read as a request. Does not check: anything about a request but its framing.
 */
export const createListener = (deps: ListenerDeps): Listener => {
  const connections = new Map<Duplex, Connection>()
  let draining = false
  let { limits } = deps
  const server = createHttpServer(limits)
  server.on('connection', (socket) => {
    const connection = createConnection(socket, 4 * limits.headerBytes + 65_536)
    connections.set(socket, connection)
    socket.once('close', () => connections.delete(socket))
  })
  const { onRequest, onConnect, onClientError } = createHandlers(deps, connections, () => draining)
  server.on('request', (request, response) => onRequest(request, response, false))
  server.on('checkContinue', (request, response) => onRequest(request, response, true))
  server.on('checkExpectation', (request, response) => onRequest(request, response, true))
  server.on('connect', onConnect)
  server.on('clientError', onClientError)
  server.on('dropRequest', () => deps.log.warn({ listener: deps.config.bind }, 'a request was dropped'))
  logDrops(server, deps)
  return {
    listen: () => listen(server, deps.config.bind),
    setLimits: (changed) => {
      limits = changed
      applyLimits(server, limits)
    },
    close: (drainTimeoutMs) => {
      draining = true
      return closeServer(server, connections, drainTimeoutMs)
    },
  }
}

interface Handlers {
  readonly onRequest: (request: IncomingMessage, response: ServerResponse, waits: boolean) => void
  readonly onConnect: (request: IncomingMessage, socket: Duplex) => void
  readonly onClientError: (error: Error, socket: Duplex) => void
}

const createHandlers = (
  deps: ListenerDeps,
  connections: ReadonlyMap<Duplex, Connection>,
  isDraining: () => boolean,
): Handlers => {
  const listener = deps.config.bind
  const context = { listener, nowMs: deps.clock.nowMs, isDraining }

  const guarded = (exchange: Exchange, step: () => void): void => {
    try {
      step()
    } catch (bug) {
      deps.log.error({ stack: bug instanceof Error ? bug.stack : String(bug) }, 'internal error')
      exchange.reply.abort()
    }
  }

  const hand = (exchange: Exchange, refusal: Refusal): void => {
    const refused = { ...refusal, request: describeHead(exchange.head, deps.clock) }
    guarded(exchange, () => deps.onParserRefusal(exchange, refused))
  }

  const refuseRaw = (connection: Connection, partial: PartialHead, refusal: Refusal): void => {
    connection.close()
    const head = { ...partial, remoteAddress: connection.remoteAddress, listener, tls: false }
    hand(createRawExchange(connection, head, deps.clock.nowMs), refusal)
  }

  return {
    onRequest: (request, response, waits) => {
      const connection = connections.get(request.socket)
      // Bytes that came after a refusal, or after the last reply, are no request.
      if (connection === undefined || connection.isClosed()) return
      const exchange = createHttpExchange(connection, request, response, waits, context)
      const refusal = refusalOfHead(request, waits)
      if (refusal === null) return guarded(exchange, () => deps.onExchange(exchange))
      connection.close()
      hand(exchange, refusal)
    },
    onConnect: (request, socket) => {
      const connection = connections.get(socket)
      // Node has taken its own listeners off this socket.
      socket.on('error', () => socket.destroy())
      if (connection === undefined) {
        socket.destroy()
        return
      }
      // Nobody reads any more, but replies to what came before may be under way.
      if (connection.isClosed()) {
        socket.resume()
        return
      }
      const { method = '', url = '', rawHeaders } = request
      const partial = { method, target: url, httpVersion: '1.1', headers: rawHeaders } as const
      refuseRaw(connection, partial, badRequest('a method that is not proxied'))
    },
    onClientError: (error, socket) => {
      const connection = connections.get(socket)
      if (connection === undefined || socket.destroyed) return
      const code = parserErrorCode(error)
      const arriving = connection.arriving()
      if (arriving !== null) return failBody(connection, arriving, code)
      if (connection.isClosed()) {
        if (code === null) socket.destroy()
        return
      }
      const text = code === 'HPE_CLOSED_CONNECTION' ? '' : connection.capture.text()
      if (text?.trim() === '') return endQuietly(connection)
      const refusal = code === null ? CONNECTION_LOST : refusalOfParser(code)
      refuseRaw(connection, readPartialHead(text ?? ''), refusal)
    },
  }
}

/** The request is already under way: it is for whoever reads its body to answer it. */
const failBody = (connection: Connection, body: RequestBody, code: string | null): void => {
  // The caller is gone, and with it whoever would read an answer.
  if (code === null || code === 'HPE_INVALID_EOF_STATE') return connection.reset()
  connection.close()
  body.fail(bodyError(refusalOfParser(code)))
}

/** What Node's parser takes, and we do not. */
const refusalOfHead = (request: IncomingMessage, waits: boolean): Refusal | null => {
  if (request.httpVersion !== '1.1' && request.httpVersion !== '1.0') return UNKNOWN_VERSION
  if (!waits) return null
  const expectations = headerValues(request.rawHeaders, 'expect')
  return expectations.length === 1 && expectations[0]?.toLowerCase() === '100-continue'
    ? null
    : UNKNOWN_EXPECTATION
}

/** Nobody has asked anything: replies under way go on, and an idle connection ends without a word. */
const endQuietly = (connection: Connection): void => {
  connection.close()
  connection.whenItsTurn(connection.finish)
}

const createHttpServer = (limits: LimitsConfig): Server => {
  const server = createServer({
    // Default: 30 s, which would let a slow request live that much longer.
    connectionsCheckingInterval: Math.min(1000, Math.ceil(limits.headersTimeout / 4)),
    noDelay: true,
    insecureHTTPParser: false,
    // Node would answer by itself, without a record.
    requireHostHeader: false,
  })
  // More than that many fields would be dropped without a word; the bytes are bounded.
  server.maxHeadersCount = 0
  server.maxRequestsPerSocket = 0
  server.timeout = 0
  applyLimits(server, limits)
  // Or Node would drop the answer to a caller that has ended its side; the connection bounds how long it waits.
  return Object.assign(server, { httpAllowHalfOpen: true })
}

const applyLimits = (server: Server, limits: LimitsConfig): void => {
  // Node wants it to be the shorter one.
  server.headersTimeout = Math.min(limits.headersTimeout, limits.requestTimeout)
  server.requestTimeout = limits.requestTimeout
  server.keepAliveTimeout = limits.keepAliveTimeout
  server.maxConnections = limits.connections
  // Documented only as an option; Node reads it off the server for each new connection.
  Object.assign(server, { maxHeaderSize: limits.headerBytes })
}

const DROP_LOG_INTERVAL_MS = 10_000

const logDrops = (server: Server, { clock, config, log }: ListenerDeps): void => {
  let count = 0
  let loggedAtMs = 0
  server.on('drop', () => {
    count += 1
    const nowMs = clock.nowMs()
    if (nowMs - loggedAtMs < DROP_LOG_INTERVAL_MS) return
    log.warn({ listener: config.bind, count }, 'connections over limits.connections were closed')
    loggedAtMs = nowMs
    count = 0
  })
}

const listen = (server: Server, bind: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const { host, port } = splitBind(bind)
    server.once('error', reject)
    server.listen({ host, port }, () => {
      server.off('error', reject)
      // An address object is certain here: the server listens on TCP.
      const { address, family, port: actual } = server.address() as AddressInfo
      resolve(`${family === 'IPv6' ? `[${address}]` : address}:${actual}`)
    })
  })

const splitBind = (bind: string): { readonly host: string; readonly port: number } => {
  const colon = bind.lastIndexOf(':')
  return { host: bind.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(bind.slice(colon + 1)) }
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
      if (connection.isIdle()) connection.socket.destroy()
      else if (connection.isBusy()) connection.close()
    }
  })
