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

/** What all connections of a listener have in common. */
export interface ConnectionOptions {
  readonly clock: Pick<Clock, 'monotonicUs'>
  /** How much is kept of a head that does not end. */
  readonly maxHeadBytes: () => number
  /** How long a head may take, the first one since the connection was made. */
  readonly headTimeoutMs: () => number
  readonly onHeadLate: (connection: Connection) => void
  readonly onClose: (connection: Connection) => void
}

/**
 * Follows one socket.
 *
 * Each has a deadline of its own for heads: Node looks at all connections at once and cuts all that are late by then,
 * while everybody else waits. Does not see heads from where one begins in the same bytes as a chunked body ends.
 *
 * @param raw what carries the bytes of an encrypted socket; otherwise the socket itself.
 */
export const createConnection = (
  socket: Socket,
  options: ConnectionOptions,
  raw: Socket = socket,
  peerCertificate: PeerCertificate | null = null,
): Connection => new FollowedSocket(socket, options, raw, peerCertificate)

/** A class, since there may be ten thousand: functions made anew for each would be a third of what each takes. */
class FollowedSocket implements Connection {
  readonly socket: Socket
  readonly remoteAddress: string
  readonly peerCertificate: PeerCertificate | null
  readonly capture: HeadCapture
  readonly #raw: Socket
  readonly #options: ConnectionOptions
  #headSinceUs: number | null = null
  #headTimer: NodeJS.Timeout | undefined
  #arriving: { readonly request: IncomingMessage; readonly body: RequestBody } | null = null
  #closed = false
  #underWay = 0
  #turn: (() => void) | null = null
  #lingerBytes = -1
  #givenAway = false
  #goesAway = false
  #onGoAway: (() => void) | null = null

  constructor(
    socket: Socket,
    options: ConnectionOptions,
    raw: Socket,
    peerCertificate: PeerCertificate | null,
  ) {
    this.socket = socket
    this.remoteAddress = socket.remoteAddress ?? ''
    this.peerCertificate = peerCertificate
    this.capture = createHeadCapture(options.maxHeadBytes())
    this.#raw = raw
    this.#options = options
    follow(socket, this)
    this.#awaitHead()
  }

  arriving(): RequestBody | null {
    const { request, body } = this.#arriving ?? {}
    return request === undefined || body === undefined || request.complete || this.#underWay === 0
      ? null
      : body
  }

  setArriving(request: IncomingMessage, body: RequestBody): void {
    this.#arriving = { request, body }
  }

  isClosed(): boolean {
    return this.#closed
  }

  close(): void {
    this.#closed = true
  }

  begin(): void {
    this.#underWay += 1
  }

  done(): void {
    this.#underWay -= 1
    if (this.#underWay > 0) return
    if (this.#turn !== null) this.#turn()
    else if (this.#closed && !this.#givenAway) this.finish()
  }

  isIdle(): boolean {
    return this.#underWay === 0 && this.capture.text() === ''
  }

  isBusy(): boolean {
    return this.#underWay > 0
  }

  isLast(): boolean {
    return this.#underWay === 1 && this.#turn === null
  }

  whenItsTurn(send: () => void): void {
    if (this.#underWay === 0) send()
    else this.#turn = send
  }

  finish(): void {
    const { socket } = this
    this.#closed = true
    if (this.#lingerBytes !== -1 || socket.destroyed) return
    if (socket.bytesWritten === 0) {
      socket.destroy()
      return
    }
    this.#lingerBytes = 0
    const timer = setTimeout(() => socket.destroy(), LINGER_MS)
    socket.once('close', () => clearTimeout(timer))
    socket.end()
    socket.resume()
  }

  reset(): void {
    this.#closed = true
    if (!this.socket.destroyed) this.#raw.resetAndDestroy()
  }

  giveAway(): void {
    this.#closed = true
    this.#givenAway = true
    this.socket.off('data', onData)
  }

  goAway(): void {
    this.#goesAway = true
    this.#onGoAway?.()
  }

  onGoAway(listener: () => void): void {
    this.#onGoAway = listener
    if (this.#goesAway) listener()
  }

  headRead(bodyBytes: number | null, isComplete: () => boolean): void {
    this.capture.headRead(bodyBytes, isComplete)
    this.#headSinceUs = null
    if (this.capture.isReading()) this.#awaitHead()
  }

  /** Before Node sees them. */
  takeBytes(chunk: Buffer): void {
    if (this.#lingerBytes === -1) {
      if (this.#closed) return
      this.capture.data(chunk)
      if (this.capture.isReading()) this.#awaitHead()
      return
    }
    this.#lingerBytes += chunk.length
    if (this.#lingerBytes > LINGER_BYTES) this.socket.destroy()
  }

  /** The caller has ended its side. */
  noticeEnd(): void {
    if (this.#givenAway) return
    const { socket } = this
    let written = socket.bytesWritten
    const timer = setInterval(() => {
      if (socket.bytesWritten === written) socket.destroy()
      written = socket.bytesWritten
    }, HALF_CLOSED_MS)
    socket.once('close', () => clearInterval(timer))
  }

  noticeClose(): void {
    clearTimeout(this.#headTimer)
    this.#options.onClose(this)
  }

  #awaitHead(): void {
    if (this.#headSinceUs !== null) return
    this.#headSinceUs = this.#options.clock.monotonicUs()
    this.#headTimer ??= setTimeout(lookForHead, this.#options.headTimeoutMs(), this)
  }

  /**
   * The timer goes on through heads that are in time, since nearly all are: one for each would cost more.
   *
   * @param again what had come by the first look has been read since, if the process was held up.
   */
  lookForHead(again: boolean): void {
    const { clock, headTimeoutMs, onHeadLate } = this.#options
    clearTimeout(this.#headTimer)
    this.#headTimer = undefined
    if (this.#headSinceUs === null || this.#closed || this.socket.destroyed) return
    const leftMs = headTimeoutMs() - (clock.monotonicUs() - this.#headSinceUs) / 1000
    if (leftMs > 0) this.#headTimer = setTimeout(lookForHead, Math.ceil(leftMs), this)
    else if (again) onHeadLate(this)
    else setImmediate(lookAgain, this)
  }
}

const FOLLOWED = Symbol('the connection of a socket')

interface Followed {
  [FOLLOWED]?: FollowedSocket
}

const follow = (socket: Socket & Followed, connection: FollowedSocket): void => {
  socket[FOLLOWED] = connection
  // Before Node's own listener, so that the bytes are there when the parser refuses them.
  socket.prependListener('data', onData)
  socket.on('end', onEnd)
  socket.on('close', onClose)
  // Node ends a connection by this after its last reply, and would reset it if anything is unread.
  socket.destroySoon = destroySoon
}

function onData(this: Followed, chunk: Buffer): void {
  this[FOLLOWED]?.takeBytes(chunk)
}

function onEnd(this: Followed): void {
  this[FOLLOWED]?.noticeEnd()
}

function onClose(this: Followed): void {
  this[FOLLOWED]?.noticeClose()
}

function destroySoon(this: Followed): void {
  this[FOLLOWED]?.finish()
}

const lookForHead = (connection: FollowedSocket): void => connection.lookForHead(false)

const lookAgain = (connection: FollowedSocket): void => connection.lookForHead(true)
