import type { ServerResponse } from 'node:http'
import type { Reply } from '../../core/exchange.ts'
import { type HeaderPairs, headerValues } from '../../core/headers.ts'

const REASON = /^[\t\x20-\x7e\x80-\xff]*$/
const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

/** What a reply needs to know of its connection at the moment when its head goes out. */
export interface ReplyConnection {
  readonly nowMs: () => number
  /** True when the caller sends its content only after a `100 Continue`. */
  readonly waits: boolean
  /** True when nothing more will be read as a request: the reply says `Connection: close`. */
  readonly mustClose: () => boolean
  /** The reply has told the caller that the connection ends with it. */
  readonly closing: () => void
  /** How long the end of an answer may wait for the caller to read it. */
  readonly stallTimeoutMs: () => number
  readonly reset: () => void
  /** True when the connection speaks something else by now; left out: it never does. */
  readonly isGivenAway?: () => boolean
}

/** A first piece of content up to this size goes out with the head in one piece: a copy costs less than another write. */
const SMALL_BYTES = 16 * 1024
const NOTHING = Buffer.alloc(0)

/**
 * The way back to the caller on Node's response object; fields go out in the order and spelling given.
 *
 * The head goes out with what content there is in the same tick, and at its end without.
 * Node adds framing, `Connection` and `Keep-Alive` where they are missing, and this adds `Date`.
 */
export const createHttpReply = (
  response: ServerResponse,
  httpVersion: '1.0' | '1.1',
  connection: ReplyConnection,
): Reply => {
  response.sendDate = false
  response.on('error', ignore)
  return new HttpReply(response, httpVersion, connection)
}

const ignore = (): void => undefined

/** A class, since each request has one: functions made anew for each would be collected as often. */
class HttpReply implements Reply {
  readonly response: ServerResponse
  readonly httpVersion: '1.0' | '1.1'
  readonly connection: ReplyConnection
  listener: (() => void) | null = null
  ended = false
  headWaits = false
  first: Buffer | null = null

  constructor(response: ServerResponse, httpVersion: '1.0' | '1.1', connection: ReplyConnection) {
    this.response = response
    this.httpVersion = httpVersion
    this.connection = connection
  }

  headSent(): boolean {
    return this.response.headersSent || this.connection.isGivenAway?.() === true
  }

  informational(status: number, headers: HeaderPairs): void {
    const { response } = this
    // Before its turn has come, a pipelined response has no socket; a hint would be too early then.
    const { socket } = response
    if (response.headersSent || this.httpVersion === '1.0' || socket === null || !socket.writable) return
    if (status < 102 || status > 199) return
    socket.write(rawHead(status, '', headers), 'latin1')
  }

  head(status: number, reason: string, headers: HeaderPairs): void {
    const { response, connection } = this
    const closes = connection.mustClose() || saysClose(headers)
    // Documented only as a property of the response's own decision; it is what Node's writer goes by.
    if (closes) response.shouldKeepAlive = false
    // Node closes, without a word to us, where it was asked for a 100 and sent none: the content might still come.
    // That is known better here, and requests behind this one may be under way.
    else if (connection.waits) Reflect.set(response, '_expect_continue', false)
    response.writeHead(status, REASON.test(reason) ? reason : '', withDate(headers, connection.nowMs()))
    if (closes) connection.closing()
    this.headWaits = true
    process.nextTick(flush, this)
  }

  flush(): void {
    if (!this.headWaits) return
    this.headWaits = false
    const content = this.first ?? NOTHING
    this.first = null
    if (!this.response.destroyed) this.response.write(content)
  }

  write(chunk: Buffer): boolean {
    if (this.ended || this.response.destroyed) return true
    if (this.headWaits && this.first === null && chunk.length <= SMALL_BYTES) {
      this.first = chunk
      return true
    }
    this.flush()
    return this.response.write(chunk)
  }

  onDrain(listener: () => void): void {
    // Nearly every answer fits, so that nobody is told of a drain.
    if (this.listener === null) this.response.on('drain', () => this.listener?.())
    this.listener = listener
  }

  trailers(headers: HeaderPairs): void {
    const pairs: [string, string][] = []
    for (let index = 0; index < headers.length; index += 2) {
      pairs.push([headers[index] ?? '', headers[index + 1] ?? ''])
    }
    if (!this.ended && !this.response.destroyed) this.response.addTrailers(pairs)
  }

  end(chunk?: Buffer | string): void {
    const { response, connection } = this
    if (this.ended || response.destroyed) return
    this.ended = true
    if (this.first !== null && chunk !== undefined) this.flush()
    this.headWaits = false
    if (this.first === null) response.end(chunk)
    else endWith(response, this.first.toString('latin1'))
    boundTail(response, connection)
  }

  abort(): void {
    this.connection.reset()
  }
}

const flush = (reply: HttpReply): void => reply.flush()

/**
 * Ends a response of which nothing has gone out yet.
 *
 * @param content Latin-1: as text, since Node puts no other content into one piece with the head.
 */
const endWith = (response: ServerResponse & Partial<WrittenHead>, content: string): void => {
  // Where it is known how much content there is, it is as good as a part of the head: Node then hands one text to the
  // socket, and not a list of two of which the second is empty.
  const { _header: head, _hasBody: hasBody } = response
  if (typeof head !== 'string' || response.chunkedEncoding || hasBody !== true) {
    response.end(content, 'latin1')
    return
  }
  response._header = head + content
  response.end()
}

/** What Node's writer keeps, and documents only in that it is what `OutgoingMessage` goes by. */
interface WrittenHead {
  /** The head as it goes out; null before. */
  _header: string | null
  /** False for an answer that has no content whatever is written, such as one to HEAD. */
  readonly _hasBody: boolean
}

/** Nobody waits for the end of an answer to be read, so that a caller who does not read could hold it for ever. */
const boundTail = (response: ServerResponse, connection: ReplyConnection): void => {
  const { socket } = response
  if (socket !== null && socket.writableLength === 0) return
  const bound = (): void => {
    const timer = setTimeout(() => connection.reset(), connection.stallTimeoutMs())
    response.once('close', () => clearTimeout(timer))
  }
  // A pipelined response gets the socket when its turn has come.
  if (socket === null) response.once('socket', bound)
  else bound()
}

const saysClose = (headers: HeaderPairs): boolean =>
  headerValues(headers, 'connection').some((value) => /(?:^|[\s,])close(?:[\s,]|$)/i.test(value))

/** @see https://www.rfc-editor.org/rfc/rfc9110#section-6.6.1 */
export const withDate = (headers: HeaderPairs, nowMs: number): string[] =>
  headerValues(headers, 'date').length > 0 ? [...headers] : [...headers, 'Date', httpDate(nowMs)]

let dateSecond = 0
let dateText = ''

const httpDate = (nowMs: number): string => {
  const second = Math.floor(nowMs / 1000)
  if (second !== dateSecond) {
    dateSecond = second
    dateText = new Date(nowMs).toUTCString()
  }
  return dateText
}

/** A status line with its fields as they go over the wire; fields that could break out of it are left out. */
export const rawHead = (status: number, reason: string, headers: HeaderPairs): string => {
  let text = `HTTP/1.1 ${status} ${REASON.test(reason) ? reason : ''}\r\n`
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    const value = headers[index + 1] ?? ''
    if (FIELD_NAME.test(name) && REASON.test(value)) text += `${name}: ${value}\r\n`
  }
  return `${text}\r\n`
}
