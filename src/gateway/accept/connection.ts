import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Clock } from '../../core/clock.ts'
import type { PeerCertificate } from '../../core/peer-certificate.ts'
import { createHeadCapture, type HeadCapture } from './head-capture.ts'
import type { RequestBody } from './request-body.ts'

/** One caller's connection, and what is under way on it. */
export interface Connection {
  readonly socket: Socket
  /** Kept, since a closed socket no longer tells. */
  readonly remoteAddress: string
  readonly peerCertificate: PeerCertificate | null
  readonly capture: Omit<HeadCapture, 'data' | 'headRead'>
  /** When the parser has read a whole head. `bodyBytes` is null for a chunked body. */
  readonly headRead: HeadCapture['headRead']
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

// A connection that is closed with bytes unread is reset, and the reset can overtake the reply, if there is one. So what
// the caller still sends is read and dropped, for a while (RFC 9112 section 9.6).
const LINGER_MS = 1000
const LINGER_BYTES = 16 * 1024 * 1024

// A caller that has ended its side may still wait for the answer, or be gone: only a write will tell. So it is
// taken for gone when nothing is written for this long.
const HALF_CLOSED_MS = 500

export interface ConnectionOptions {
  /** What carries the bytes of an encrypted socket; otherwise the socket itself. */
  readonly raw: Socket
  readonly peerCertificate: PeerCertificate | null
  readonly clock: Pick<Clock, 'monotonicUs'>
  /** How much is kept of a head that does not end. */
  readonly maxHeadBytes: number
  /** How long a head may take, the first one since the connection was made. */
  readonly headTimeoutMs: () => number
  readonly onHeadLate: (connection: Connection) => void
}

/**
 * Follows one socket.
 *
 * Each has a deadline of its own for heads: Node looks at all connections at once and cuts all that are late by then,
 * while everybody else waits. Does not see a head that begins in the same bytes as a chunked body ends.
 */
export const createConnection = (socket: Socket, options: ConnectionOptions): Connection => {
  const { raw, peerCertificate, clock, headTimeoutMs } = options
  const capture = createHeadCapture(options.maxHeadBytes)
  let headSinceUs: number | null = null
  let headTimer: NodeJS.Timeout | undefined
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
    if (socket.bytesWritten === 0) {
      socket.destroy()
      return
    }
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

  const awaitHead = (): void => {
    if (headSinceUs !== null) return
    headSinceUs = clock.monotonicUs()
    headTimer ??= setTimeout(lookForHead, headTimeoutMs())
  }
  // It goes on through heads that are in time, since nearly all are: a timer for each would cost more.
  const lookForHead = (): void => {
    headTimer = undefined
    if (headSinceUs === null || closed || socket.destroyed) return
    const leftMs = headTimeoutMs() - (clock.monotonicUs() - headSinceUs) / 1000
    if (leftMs > 0) headTimer = setTimeout(lookForHead, Math.ceil(leftMs))
    else options.onHeadLate(connection)
  }

  const onData = (chunk: Buffer): void => {
    if (lingerBytes === -1) {
      if (closed) return
      capture.data(chunk)
      if (capture.isReading()) awaitHead()
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

  const connection: Connection = {
    socket,
    remoteAddress: socket.remoteAddress ?? '',
    peerCertificate,
    capture,
    headRead: (bodyBytes, isComplete) => {
      capture.headRead(bodyBytes, isComplete)
      headSinceUs = null
      if (capture.isReading()) awaitHead()
    },
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
  awaitHead()
  socket.once('close', () => clearTimeout(headTimer))
  return connection
}
