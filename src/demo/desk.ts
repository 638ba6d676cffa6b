import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

const TEXT = 0x1
const CLOSE = 0x8
const PING = 0x9
const PONG = 0xa
/** Nobody says more than this at once. */
const MAX_BYTES = 65_535

/**
 * The bank's desk: a WebSocket that greets by name and repeats what it is told.
 *
 * Like the rest of the bank it believes whatever `X-Remote-User` says. As much of RFC 6455 as that takes: text in one
 * frame, ping and close.
 */
export const openDesk = (request: IncomingMessage, socket: Duplex): void => {
  socket.on('error', () => socket.destroy())
  const key = request.headers['sec-websocket-key']
  const user = request.headers['x-remote-user']
  if (request.url !== '/desk' || typeof key !== 'string' || typeof user !== 'string') {
    socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n')
    return
  }
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptOf(key)}\r\n\r\n`,
  )
  socket.write(frame(TEXT, Buffer.from(`Good day ${user}, this is the desk.`)))
  serve(socket)
}

/** @see https://www.rfc-editor.org/rfc/rfc6455#section-1.3 */
const acceptOf = (key: string): string =>
  createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')

const frame = (kind: number, payload: Buffer): Buffer => {
  const { length } = payload
  const head = length < 126 ? [0x80 | kind, length] : [0x80 | kind, 126, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from(head), payload])
}

const serve = (socket: Duplex): void => {
  let waiting = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    waiting = Buffer.concat([waiting, chunk])
    for (let read = readFrame(waiting); read !== null; read = readFrame(waiting)) {
      waiting = waiting.subarray(read.bytes)
      if (!answer(socket, read)) return
    }
  })
  socket.on('end', () => socket.end())
}

interface Frame {
  readonly kind: number
  readonly payload: Buffer
  /** Of all of it. */
  readonly bytes: number
}

/** False when that was the last one. */
const answer = (socket: Duplex, { kind, payload }: Frame): boolean => {
  if (kind === TEXT) socket.write(frame(TEXT, payload))
  else if (kind === PING) socket.write(frame(PONG, payload))
  else if (kind !== PONG) {
    socket.end(frame(CLOSE, kind === CLOSE ? payload.subarray(0, 2) : Buffer.from([0x03, 0xeb])))
    return false
  }
  return true
}

/** The first frame of a client, null while it is not all there; what the desk does not take counts as a close. */
const readFrame = (bytes: Buffer): Frame | null => {
  if (bytes.length < 2) return null
  const [first = 0, second = 0] = bytes
  const short = second & 0x7f
  const at = short === 126 ? 4 : 2
  if (bytes.length < at) return null
  const length = short === 126 ? bytes.readUInt16BE(2) : short
  const isTaken = (first & 0xf0) === 0x80 && (second & 0x80) !== 0 && short !== 127 && length <= MAX_BYTES
  if (!isTaken) return { kind: 0, payload: Buffer.alloc(0), bytes: bytes.length }
  if (bytes.length < at + 4 + length) return null
  const mask = bytes.subarray(at, at + 4)
  const payload = Buffer.from(bytes.subarray(at + 4, at + 4 + length))
  for (const [index, byte] of payload.entries()) payload[index] = byte ^ (mask[index % 4] ?? 0)
  return { kind: first & 0x0f, payload, bytes: at + 4 + length }
}
