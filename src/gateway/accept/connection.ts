import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { PeerCertificate } from '../../core/peer-certificate.ts'
import { createHeadCapture, type HeadCapture } from './head-capture.ts'
import type { RequestBody } from './request-body.ts'

/** One caller's connection, and what is under way on it. */
export interface Connection {
  readonly socket: Socket
  /** Kept, since a closed socket no longer tells. */
  readonly remoteAddress: string
  readonly peerCertificate: PeerCertificate | null
  readonly capture: HeadCapture
  /** The body that is still arriving for a reply under way, if any. */
  readonly arriving: () => RequestBody | null
  readonly setArriving: (request: IncomingMessage, body: RequestBody) => void
  /** True when nothing more is read from it as a request. */
  readonly isClosed: () => boolean
  readonly close: () => void
  readonly begin: () => void
  /** A reply is over, sent or not. */
  readonly done: () => void
  readonly isIdle: () => boolean
  /** True when a reply is under way. */
  readonly isBusy: () => boolean
  /** True when no reply is to be sent after the one that is under way. */
  readonly isLast: () => boolean
  /** Calls back once no reply is under way. */
  readonly whenItsTurn: (send: () => void) => void
  /** Ends the connection in a way that lets the caller read the last reply. */
  readonly finish: () => void
  readonly reset: () => void
  /** Gives the socket away: from here on only `reset` and `goAway` are for this connection to do. */
  readonly giveAway: () => void
  /** Tells whoever has the socket to end it soon. */
  readonly goAway: () => void
  readonly onGoAway: (listener: () => void) => void
}

// A connection that is closed with bytes unread is reset, and the reset can overtake the reply. So what the
// caller still sends is read and dropped, for a while (RFC 9112 section 9.6).
const LINGER_MS = 1000
const LINGER_BYTES = 16 * 1024 * 1024

// A caller that has ended its side may still wait for the answer, or be gone: only a write will tell. So it is
// taken for gone when nothing is written for this long.
const HALF_CLOSED_MS = 500

/** @param raw what carries the bytes of an encrypted socket; otherwise the socket itself. */
export const createConnection = (
  socket: Socket,
  maxHeadBytes: number,
  raw: Socket = socket,
  peerCertificate: PeerCertificate | null = null,
): Connection => {
  const capture = createHeadCapture(maxHeadBytes)
  let arriving: { readonly request: IncomingMessage; readonly body: RequestBody } | null = null
  let closed = false
  let underWay = 0
  let turn: (() => void) | null = null
  let lingerBytes = -1
  let givenAway = false
  let goesAway = false
  let onGoAway: (() => void) | null = null

  const finish = (): void => {
    closed = true
    if (lingerBytes !== -1 || socket.destroyed) return
    lingerBytes = 0
    const timer = setTimeout(() => socket.destroy(), LINGER_MS)
    socket.once('close', () => clearTimeout(timer))
    socket.end()
    socket.resume()
  }

  const reset = (): void => {
    closed = true
    if (!socket.destroyed) raw.resetAndDestroy()
  }

  const onData = (chunk: Buffer): void => {
    if (lingerBytes === -1) {
      if (!closed) capture.data(chunk)
      return
    }
    lingerBytes += chunk.length
    if (lingerBytes > LINGER_BYTES) socket.destroy()
  }
  // Before Node's own listener, so that the bytes are there when the parser refuses them.
  socket.prependListener('data', onData)
  socket.once('end', () => {
    if (givenAway) return
    let written = socket.bytesWritten
    const timer = setInterval(() => {
      if (socket.bytesWritten === written) socket.destroy()
      written = socket.bytesWritten
    }, HALF_CLOSED_MS)
    socket.once('close', () => clearInterval(timer))
  })
  // Node ends a connection by this after its last reply, and would reset it if anything is unread.
  socket.destroySoon = finish

  return {
    socket,
    remoteAddress: socket.remoteAddress ?? '',
    peerCertificate,
    capture,
    arriving: () => (arriving === null || arriving.request.complete || underWay === 0 ? null : arriving.body),
    setArriving: (request, body) => {
      arriving = { request, body }
    },
    isClosed: () => closed,
    close: () => {
      closed = true
    },
    begin: () => {
      underWay += 1
    },
    done: () => {
      underWay -= 1
      if (underWay > 0) return
      if (turn !== null) turn()
      else if (closed && !givenAway) finish()
    },
    isIdle: () => underWay === 0 && capture.text() === '',
    isBusy: () => underWay > 0,
    isLast: () => underWay === 1 && turn === null,
    whenItsTurn: (send) => {
      if (underWay === 0) send()
      else turn = send
    },
    finish,
    reset,
    giveAway: () => {
      closed = true
      givenAway = true
      socket.off('data', onData)
    },
    goAway: () => {
      goesAway = true
      onGoAway?.()
    },
    onGoAway: (listener) => {
      onGoAway = listener
      if (goesAway) listener()
    },
  }
}
