import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'

/** The body of one request, which can fail without taking the connection with it. */
export interface RequestBody {
  readonly stream: Readable
  /** Ends it with an error; a reader that comes later gets the error too. */
  readonly fail: (error: Error) => void
  /** Gives up what was not read, so that the connection can go on or be drained. */
  readonly discard: () => void
}

/**
 * Wraps the body of a request, which is left alone until it is first read.
 *
 * @param onFirstRead asks the caller for the body, where it waits to be asked.
 */
export const createRequestBody = (request: IncomingMessage, onFirstRead: () => void): RequestBody => {
  let started = false
  let ended = false
  let failure: Error | null = null

  const fail = (error: Error): void => {
    if (ended || failure !== null) return
    failure = error
    if (started) stream.destroy(error)
  }

  const start = (): void => {
    started = true
    if (failure !== null) {
      stream.destroy(failure)
      return
    }
    onFirstRead()
    request.on('data', (chunk: Buffer) => {
      if (!stream.push(chunk)) request.pause()
    })
    request.on('end', () => {
      ended = true
      stream.push(null)
    })
  }

  const stream = new Readable({
    read: () => {
      if (started) request.resume()
      else start()
    },
  })
  // A body that nobody reads may fail all the same.
  stream.on('error', ignore)
  request.on('error', fail)
  request.on('close', () => {
    if (!request.complete) fail(new Error('the connection was closed before the body was complete'))
  })

  return {
    stream,
    fail,
    discard: () => {
      request.removeAllListeners('data')
      request.resume()
    },
  }
}

const ignore = (): void => undefined
