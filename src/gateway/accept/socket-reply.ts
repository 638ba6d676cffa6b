import type { Socket } from 'node:net'
import type { Reply } from '../../core/exchange.ts'
import { headerValues } from '../../core/headers.ts'
import { rawHead, withDate } from './http-reply.ts'

/** What a reply without Node's response object needs of its connection. */
export interface RawReplyConnection {
  readonly nowMs: () => number
  /** Calls back when the replies before this one have been sent; never, if the connection goes first. */
  readonly whenItsTurn: (send: () => void) => void
  /** Ends the connection once what was written has been sent. */
  readonly finish: () => void
  readonly reset: () => void
}

/** The way back to a caller whose request could not be parsed; the connection always ends with it. */
export const createSocketReply = (socket: Socket, method: string, connection: RawReplyConnection): Reply => {
  let sent = false
  let ended = false
  let mayHaveBody = method !== 'HEAD'
  const waiting: (Buffer | string)[] = []

  const body = (chunk: Buffer | string | undefined): void => {
    if (mayHaveBody && chunk !== undefined) waiting.push(chunk)
  }

  return {
    headSent: () => sent,
    informational: () => undefined,
    head: (status, reason, headers) => {
      if (sent) return
      sent = true
      if (status === 204 || status === 304) mayHaveBody = false
      const close = headerValues(headers, 'connection').length > 0 ? [] : ['Connection', 'close']
      const text = rawHead(status, reason, [...withDate(headers, connection.nowMs()), ...close])
      waiting.push(Buffer.from(text, 'latin1'))
    },
    write: (chunk) => {
      body(chunk)
      return true
    },
    onDrain: () => undefined,
    trailers: () => undefined,
    end: (chunk) => {
      if (ended) return
      ended = true
      body(chunk)
      connection.whenItsTurn(() => {
        if (socket.writable) for (const part of waiting) socket.write(part)
        connection.finish()
      })
    },
    abort: connection.reset,
  }
}
