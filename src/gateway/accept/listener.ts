import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Clock } from '../../core/clock.ts'
import type { Exchange } from '../../core/exchange.ts'
import { headerValues } from '../../core/headers.ts'
import type { Log } from '../../core/log.ts'
import type { Refusal } from '../../core/refusals.ts'
import type { RefusedRequest } from '../pipeline.ts'
import type { LimitsConfig } from './config.ts'
import type { Connection } from './connection.ts'
import { type Connections, type ListenerAddress, trackConnections } from './connections.ts'
import { createHttpExchange, createRawExchange, type ExchangeContext } from './http-exchange.ts'
import { applyLimits, createHttpServer, listen } from './http-server.ts'
import {
  bodyError,
  CONNECTION_LOST,
  HEAD_LATE,
  HEAD_TOO_LARGE,
  NOT_FIRST,
  parserErrorCode,
  refusalOfParser,
  UNKNOWN_EXPECTATION,
  UNKNOWN_VERSION,
} from './parser-refusal.ts'
import { type PartialHead, readPartialHead } from './partial-head.ts'
import type { RequestBody } from './request-body.ts'
import { badRequest, describeHead } from './request-facts.ts'
import { createTlsSwitch, type TlsMaterial } from './tls.ts'
import { createUpgradeExchange } from './upgrade-exchange.ts'

export interface ListenerSettings {
  readonly config: ListenerAddress
  /** Null, or left out: plain HTTP. */
  readonly tls?: TlsMaterial | null
  readonly limits: LimitsConfig
}

export interface ListenerDeps extends ListenerSettings {
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
  /**
   * Other settings from now on; connections stay, and `headerBytes`, the bounds of their number, and certificates
   * are for new ones. Neither the address nor whether it speaks TLS can change, nor how long a handshake may take.
   */
  readonly configure: (settings: ListenerSettings) => void
  /** How many connections are open. */
  readonly connections: () => number
  /** Takes no more connections, lets requests in flight finish, then cuts what is left. */
  readonly close: (drainTimeoutMs: number) => Promise<void>
}

/**
 * An HTTP/1.1 server, on plain TCP or TLS, that hands each request over as an `Exchange`.
 *
 * What Node's parser refuses is handed over too, so that it has a record and an answer; after such a refusal
 * no byte of that connection is read as a request. Does not check: anything about a request but its framing, nor
 * that the name of a TLS handshake is that of `Host`.
 */
export const createListener = (deps: ListenerDeps): Listener => {
  const { config, clock, log } = deps
  let { limits } = deps
  let draining = false
  const tls = deps.tls === undefined || deps.tls === null ? null : createTlsSwitch(deps.tls)
  const server = createHttpServer(limits, tls)
  const onHeadLate = (connection: Connection): void => handlers.onHeadLate(connection)
  const connections = trackConnections(server, { config, clock, log, limits: () => limits, onHeadLate })
  const context: ExchangeContext = {
    listener: config.id ?? config.bind,
    tls: tls !== null,
    clock,
    limits: () => limits,
    isDraining: () => draining,
  }
  const handlers = createHandlers(deps, connections, context)
  const { onRequest, onUpgrade, onConnect, onClientError } = handlers
  server.on('request', (request, response) => onRequest(request, response, false))
  server.on('checkContinue', (request, response) => onRequest(request, response, true))
  server.on('checkExpectation', (request, response) => onRequest(request, response, true))
  server.on('upgrade', onUpgrade)
  server.on('connect', onConnect)
  server.on('clientError', onClientError)
  server.on('dropRequest', () => log.warn({ listener: config.bind }, 'a request was dropped'))
  return {
    listen: () => listen(server, config.bind),
    configure: (settings) => {
      limits = settings.limits
      applyLimits(server, limits)
      connections.trust(settings.config.trustedProxies ?? [])
      const { tls: material } = settings
      if ('setSecureContext' in server && material && tls?.replace(server, material) === true) {
        // Whoever was let in by those who no longer say who is good has to show that anew.
        connections.retireCertified()
      }
    },
    connections: connections.count,
    close: (drainTimeoutMs) => {
      draining = true
      return connections.close(drainTimeoutMs)
    },
  }
}

interface Handlers {
  readonly onRequest: (request: IncomingMessage, response: ServerResponse, waits: boolean) => void
  readonly onUpgrade: (request: IncomingMessage, socket: Duplex, behind: Buffer) => void
  readonly onConnect: (request: IncomingMessage, socket: Duplex) => void
  readonly onClientError: (error: Error, socket: Duplex) => void
  readonly onHeadLate: (connection: Connection) => void
}

const createHandlers = (deps: ListenerDeps, connections: Connections, context: ExchangeContext): Handlers => {
  /** Node counts names and values alone, so that its own limit lets more bytes pass than were allowed. */
  const isTooLarge = ({ capture }: Connection): boolean => capture.headBytes() > context.limits().headerBytes

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
    const { listener, tls } = context
    const head = { ...partial, remoteAddress: connection.remoteAddress, listener, tls }
    hand(createRawExchange(connection, head, deps.clock.nowMs), refusal)
  }

  const refuseHead = (connection: Connection, refusal: Refusal): void => {
    const text = connection.capture.text()
    if (text?.trim() === '') return endQuietly(connection)
    refuseRaw(connection, readPartialHead(text ?? ''), refusal)
  }

  /** The connection of a socket that is no longer Node's to read; null when there is nothing more to do with it. */
  const takenOver = (socket: Duplex): Connection | null => {
    // Node has taken its own listeners off this socket.
    socket.on('error', () => socket.destroy())
    const connection = connections.get(socket)
    if (connection === undefined) {
      socket.destroy()
      return null
    }
    if (!connection.isClosed()) return connection
    // Nobody reads any more, but replies to what came before may be under way.
    socket.resume()
    return null
  }

  return {
    onRequest: (request, response, waits) => {
      const connection = connections.get(request.socket)
      // Bytes that came after a refusal, or after the last reply, are no request.
      if (connection === undefined || connection.isClosed()) return
      const exchange = createHttpExchange(connection, request, response, waits, context)
      const refusal = isTooLarge(connection) ? HEAD_TOO_LARGE : refusalOfHead(request, waits)
      if (refusal === null) return guarded(exchange, () => deps.onExchange(exchange))
      connection.close()
      hand(exchange, refusal)
    },
    onUpgrade: (request, socket, behind) => {
      const connection = takenOver(socket)
      if (connection === null) return
      // Node does not wait for the replies before this one, and the connection has one way back only.
      if (connection.isBusy()) return refuseRaw(connection, headOf(request), NOT_FIRST)
      connection.headRead(0, () => true)
      if (isTooLarge(connection)) return refuseRaw(connection, headOf(request), HEAD_TOO_LARGE)
      const exchange = createUpgradeExchange(connection, request, behind, context)
      guarded(exchange, () => deps.onExchange(exchange))
    },
    onConnect: (request, socket) => {
      const connection = takenOver(socket)
      if (connection === null) return
      refuseRaw(connection, headOf(request), badRequest('a method that is not proxied'))
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
      if (code === 'HPE_CLOSED_CONNECTION') return endQuietly(connection)
      refuseHead(connection, code === null ? CONNECTION_LOST : refusalOfParser(code))
    },
    onHeadLate: (connection) => refuseHead(connection, HEAD_LATE),
  }
}

const headOf = ({ method = '', url = '', rawHeaders }: IncomingMessage): PartialHead => ({
  method,
  target: url,
  httpVersion: '1.1',
  headers: rawHeaders,
})

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
  connection.whenItsTurn(() => connection.finish())
}
