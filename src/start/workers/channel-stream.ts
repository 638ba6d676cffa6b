import { Duplex } from 'node:stream'
import type { StreamMessage } from './messages.ts'

/** One connection whose bytes go over the channel between two processes. */
export interface ChannelStream {
  readonly stream: Duplex
  /** To be called with each message about it. */
  readonly receive: (message: StreamMessage) => void
}

/** A piece of this size is one message. */
const PIECE_BYTES = 65_536

/**
 * Carries a connection piece by piece: the next one is sent when the other side has taken the last, so that a reader
 * that has stalled fills no memory.
 *
 * @param send must not throw when the other process has gone; its end is told by destroying the stream.
 */
export const createChannelStream = (id: number, send: (message: StreamMessage) => void): ChannelStream => {
  let taken: (() => void) | null = null
  let untaken = false
  let gone = false

  const sendPieces = (chunk: Buffer, done: () => void): void => {
    if (chunk.length === 0) return done()
    const base64 = chunk.subarray(0, PIECE_BYTES).toString('base64')
    taken = () => sendPieces(chunk.subarray(PIECE_BYTES), done)
    send({ kind: 'stream-data', stream: id, base64 })
  }
  const take = (): void => {
    untaken = false
    send({ kind: 'stream-taken', stream: id })
  }
  const stream = new Duplex({
    read: () => {
      if (untaken) take()
    },
    write: (chunk: Buffer, _encoding, done) => sendPieces(chunk, done),
    final: (done) => {
      send({ kind: 'stream-end', stream: id })
      done()
    },
    destroy: (error, done) => {
      if (!gone) send({ kind: 'stream-gone', stream: id })
      done(error)
    },
  })
  // Whoever uses it listens for its end.
  stream.on('error', () => undefined)
  return {
    // Node's server sets these on a socket.
    stream: Object.assign(stream, { setTimeout: () => stream, setNoDelay: () => stream }),
    receive: (message) => {
      if (message.kind === 'stream-data') {
        if (stream.push(Buffer.from(message.base64, 'base64'))) take()
        else untaken = true
      } else if (message.kind === 'stream-taken') {
        const next = taken
        taken = null
        next?.()
      } else if (message.kind === 'stream-end') stream.push(null)
      else {
        gone = true
        stream.destroy()
      }
    },
  }
}
