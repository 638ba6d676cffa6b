import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import type { Exchange, RequestHead } from '../../core/exchange.ts'
import type { Connection } from './connection.ts'
import { createHttpReply } from './http-reply.ts'
import { createRequestBody, type RequestBody } from './request-body.ts'
import { createSocketReply } from './socket-reply.ts'

/** What a request's own fields say of the way in which it is read. */
interface Framing {
  /** Null: chunked. */
  readonly bodyBytes: number | null
  readonly upgrade: boolean
}

const readFraming = (headers: readonly string[]): Framing => {
  let bodyBytes: number | null = 0
  let upgrade = false
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    // Lengths first: nearly every field is ruled out without being copied.
    if (name.length !== 14 && name.length !== 17 && name.length !== 7) continue
    const lowerName = name.toLowerCase()
    if (lowerName === 'transfer-encoding') bodyBytes = null
    else if (lowerName === 'content-length' && bodyBytes !== null) bodyBytes = Number(headers[index + 1])
    else if (lowerName === 'upgrade') upgrade = true
  }
  return { bodyBytes, upgrade }
}

export interface ExchangeContext {
  readonly listener: string
  readonly nowMs: () => number
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
  const httpVersion = request.httpVersion === '1.0' ? '1.0' : '1.1'
  connection.capture.headRead(bodyBytes, () => request.complete)
  const body = bodyBytes === 0 ? null : openBody(connection, request, response, waits)
  const reply = createHttpReply(response, httpVersion, {
    nowMs: context.nowMs,
    mustClose: () =>
      ((connection.isClosed() || context.isDraining()) && connection.isLast()) ||
      // The parser takes what follows such a request for another protocol.
      upgrade ||
      (body !== null && !request.complete && !connection.capture.bodyIsHere()),
    closing: connection.close,
    reset: connection.reset,
  })
  connection.begin()
  const signal = watch(response, () => {
    if (!request.complete) body?.discard()
    connection.done()
  })
  const head: RequestHead = {
    method: request.method ?? '',
    target: request.url ?? '',
    httpVersion,
    headers: request.rawHeaders,
    remoteAddress: connection.remoteAddress,
    listener: context.listener,
    tls: false,
  }
  return { head, body: body?.stream ?? request, reply, signal }
}

const openBody = (
  connection: Connection,
  request: IncomingMessage,
  response: ServerResponse,
  waits: boolean,
): RequestBody => {
  const body = createRequestBody(request, () => {
    if (waits && !response.headersSent) response.writeContinue()
  })
  connection.setArriving(request, body)
  return body
}

/** Calls back once when a response is over; its signal is aborted if that was too early. */
const watch = (response: ServerResponse, over: () => void): (() => AbortSignal) => {
  let controller: AbortController | null = null
  let cut = false
  response.once('close', () => {
    cut = !response.writableFinished
    if (cut) controller?.abort()
    over()
  })
  return () => {
    controller ??= new AbortController()
    if (cut && !controller.signal.aborted) controller.abort()
    return controller.signal
  }
}

/** A request that the parser did not hand out, as an exchange without a body. */
export const createRawExchange = (
  connection: Connection,
  head: RequestHead,
  nowMs: () => number,
): Exchange => {
  const reply = createSocketReply(connection.socket, head.method, {
    nowMs,
    whenItsTurn: connection.whenItsTurn,
    finish: connection.finish,
    reset: connection.reset,
  })
  const controller = new AbortController()
  return { head, body: Readable.from([]), reply, signal: () => controller.signal }
}
