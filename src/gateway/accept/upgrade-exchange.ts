import { type IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { createDeparture } from '../../core/departure.ts'
import type { Exchange } from '../../core/exchange.ts'
import type { Connection } from './connection.ts'
import type { ExchangeContext } from './http-exchange.ts'
import { createHttpReply, rawHead, withDate } from './http-reply.ts'

/**
 * A WebSocket handshake on Node's server as an exchange; its connection ends with it, whatever becomes of it.
 *
 * @param behind what has arrived behind the handshake. It is never read as a request.
 */
export const createUpgradeExchange = (
  connection: Connection,
  request: IncomingMessage,
  behind: Buffer,
  context: ExchangeContext,
): Exchange => {
  const { socket } = connection
  const response = new ServerResponse(request)
  const departure = createDeparture()
  let accepted = false
  connection.close()
  connection.begin()
  if (behind.length > 0) socket.unshift(behind)
  // Node has taken the listeners off this socket that would do all this.
  response.assignSocket(socket)
  const onDrain = (): void => {
    response.emit('drain')
  }
  socket.on('drain', onDrain)
  response.once('finish', () => connection.finish())
  socket.once('close', () => {
    if (!accepted && !response.writableFinished) departure.gone()
    connection.done()
  })

  const accept = (headers: readonly string[]) => {
    accepted = true
    socket.off('drain', onDrain)
    response.detachSocket(socket)
    connection.giveAway()
    const head = rawHead(101, 'Switching Protocols', withDate(headers, context.clock.nowMs()))
    if (!socket.destroyed) socket.write(head, 'latin1')
    return socket
  }
  const reply = createHttpReply(response, '1.1', {
    nowMs: context.clock.nowMs,
    waits: false,
    stallTimeoutMs: () => context.limits().stallTimeout,
    mustClose: () => true,
    closing: () => connection.close(),
    reset: () => connection.reset(),
    isGivenAway: () => accepted,
  })
  return {
    head: {
      method: request.method ?? '',
      target: request.url ?? '',
      httpVersion: '1.1',
      headers: request.rawHeaders,
      remoteAddress: connection.remoteAddress,
      listener: context.listener,
      tls: context.tls,
      peerCertificate: connection.peerCertificate,
    },
    body: Readable.from([]),
    reply,
    onGone: departure.onGone,
    signal: departure.signal,
    upgrade: { accept, onGoAway: (listener) => connection.onGoAway(listener) },
  }
}
