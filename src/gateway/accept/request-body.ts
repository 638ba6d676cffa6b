import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import type { BodyPace } from './body-pace.ts'

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
 * @param pace is told of what arrives while it is read.
 */
export const createRequestBody = (
  request: IncomingMessage,
  onFirstRead: () => void,
  pace: BodyPace,
): RequestBody => {
  let started = false
  let ended = false
  let failure: Error | null = null

  const fail = (error: Error): void => {
    if (ended || failure !== null) return
    failure = error
    pace.stop()
    if (started) stream.destroy(error)
  }

  const start = (): void => {
    started = true
    if (failure !== null) {
      stream.destroy(failure)
      return
    }
    onFirstRead()
    if (!request.complete) pace.resume()
    request.on('data', (chunk: Buffer) => {
      pace.arrived(chunk.length)
      if (stream.push(chunk)) return
      request.pause()
      pace.pause()
    })
    request.on('end', () => {
      ended = true
      pace.stop()
      stream.push(null)
    })
  }

  const stream = new Readable({
    read: () => {
      if (!started) return start()
      request.resume()
      if (!request.complete) pace.resume()
    },
  })
  // A body that nobody reads may fail all the same.
  stream.on('error', ignore)
  request.on('error', fail)
  request.on('close', () => {
    pace.stop()
    if (!request.complete) fail(new Error('the connection was closed before the body was complete'))
  })

  return {
    stream,
    fail,
    discard: () => {
      pace.stop()
      request.removeAllListeners('data')
      request.resume()
    },
  }
}

const ignore = (): void => undefined
