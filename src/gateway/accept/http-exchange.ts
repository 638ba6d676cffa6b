import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import type { Clock } from '../../core/clock.ts'
import { createDeparture, type Departure } from '../../core/departure.ts'
import type { Exchange, Reply, RequestHead } from '../../core/exchange.ts'
import { createBodyPace } from './body-pace.ts'
import { bodyIdleTimeout, type LimitsConfig } from './config.ts'
import type { Connection } from './connection.ts'
import { createHttpReply, type ReplyConnection } from './http-reply.ts'
import { BODY_TOO_SLOW, bodyError } from './parser-refusal.ts'
import { createRequestBody, type RequestBody } from './request-body.ts'
import { createSocketReply } from './socket-reply.ts'

/** What a request's own fields say of the way in which it is read. */
interface Framing {
  /** Null: chunked. */
  readonly bodyBytes: number | null
  /** The parser takes what follows for another protocol: the field alone does not make it so. */
  readonly upgrade: boolean
}

const readFraming = (headers: readonly string[]): Framing => {
  let bodyBytes: number | null = 0
  let names = false
  let asks = false
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    // Lengths first: nearly every field is ruled out without being copied.
    if (!LENGTHS.has(name.length)) continue
    const lowerName = name.toLowerCase()
    if (lowerName === 'transfer-encoding') bodyBytes = null
    else if (lowerName === 'content-length' && bodyBytes !== null) bodyBytes = Number(headers[index + 1])
    else if (lowerName === 'upgrade') names = true
    else if (lowerName === 'connection') asks ||= UPGRADE.test(headers[index + 1] ?? '')
  }
  return { bodyBytes, upgrade: names && asks }
}

/** Of the names that are looked for. */
const LENGTHS: ReadonlySet<number> = new Set([7, 10, 14, 17])
const UPGRADE = /(?:^|[\s,])upgrade(?:[\s,]|$)/i

export interface ExchangeContext {
  readonly listener: string
  readonly tls: boolean
  readonly clock: Clock
  readonly limits: () => LimitsConfig
  /** True when the listener takes no more requests on this connection. */
  readonly isDraining: () => boolean
}

/**
 * One request on Node's server as an exchange.
 *
 * @param waits the caller sends its body only when asked to, by `100 Continue`.
 */
export const createHttpExchange = (
  connection: Connection,
  request: IncomingMessage,
  response: ServerResponse,
  waits: boolean,
  context: ExchangeContext,
): Exchange => {
  const { bodyBytes, upgrade } = readFraming(request.rawHeaders)
  // What follows an upgrade is nobody's request, however much it is.
  connection.headRead(upgrade ? Number.POSITIVE_INFINITY : bodyBytes, () => request.complete)
  const arriving = bodyBytes === 0 ? null : openBody(connection, request, response, waits, context)
  const exchange = new HttpExchange(connection, request, response, waits, context, arriving, upgrade)
  connection.begin()
  // Node says it once.
  response.on('close', () => exchange.close())
  return exchange
}

/** A class, since each request has one: functions made anew for each would be collected as often. */
class HttpExchange implements Exchange, ReplyConnection {
  readonly connection: Connection
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly waits: boolean
  readonly context: ExchangeContext
  readonly arriving: RequestBody | null
  readonly asksForUpgrade: boolean
  readonly head: RequestHead
  readonly body: Readable
  readonly reply: Reply
  readonly gone: () => void
  readonly onGone: Departure['onGone']
  readonly signal: Departure['signal']

  constructor(
    connection: Connection,
    request: IncomingMessage,
    response: ServerResponse,
    waits: boolean,
    context: ExchangeContext,
    arriving: RequestBody | null,
    asksForUpgrade: boolean,
  ) {
    const departure = createDeparture()
    const httpVersion = request.httpVersion === '1.0' ? '1.0' : '1.1'
    this.connection = connection
    this.request = request
    this.response = response
    this.waits = waits
    this.context = context
    this.arriving = arriving
    this.asksForUpgrade = asksForUpgrade
    this.head = {
      method: request.method ?? '',
      target: request.url ?? '',
      httpVersion,
      headers: request.rawHeaders,
      remoteAddress: connection.remoteAddress,
      listener: context.listener,
      tls: context.tls,
      peerCertificate: connection.peerCertificate,
    }
    this.body = arriving?.stream ?? request
    this.reply = createHttpReply(response, httpVersion, this)
    this.gone = departure.gone
    this.onGone = departure.onGone
    this.signal = departure.signal
  }

  nowMs(): number {
    return this.context.clock.nowMs()
  }

  stallTimeoutMs(): number {
    return this.context.limits().stallTimeout
  }

  mustClose(): boolean {
    const { connection, request, context, arriving, asksForUpgrade } = this
    return (
      ((connection.isClosed() || context.isDraining()) && connection.isLast()) ||
      asksForUpgrade ||
      (arriving !== null && !request.complete && !connection.capture.bodyIsHere())
    )
  }

  closing(): void {
    this.connection.close()
  }

  reset(): void {
    this.connection.reset()
  }

  /** The response is over; if that was too early, the caller has gone. */
  close(): void {
    if (!this.response.writableFinished) this.gone()
    if (!this.request.complete) this.arriving?.discard()
    this.connection.done()
  }
}

const openBody = (
  connection: Connection,
  request: IncomingMessage,
  response: ServerResponse,
  waits: boolean,
  { clock, limits }: ExchangeContext,
): RequestBody => {
  const { bodyMinRate } = limits()
  const pace = createBodyPace(
    { idleTimeoutMs: bodyIdleTimeout(limits()), minRate: bodyMinRate },
    clock,
    () => {
      connection.close()
      body.fail(bodyError(BODY_TOO_SLOW))
    },
  )
  const onFirstRead = (): void => {
    if (waits && !response.headersSent) response.writeContinue()
  }
  const body = createRequestBody(request, onFirstRead, pace)
  connection.setArriving(request, body)
  return body
}

/** A request that the parser did not hand out, as an exchange without a body. */
export const createRawExchange = (
  connection: Connection,
  head: RequestHead,
  nowMs: () => number,
): Exchange => {
  const reply = createSocketReply(connection.socket, head.method, {
    nowMs,
    whenItsTurn: (send) => connection.whenItsTurn(send),
    finish: () => connection.finish(),
    reset: () => connection.reset(),
  })
  return { head, body: Readable.from([]), reply, ...createDeparture() }
}
