import { Readable } from 'node:stream'

/**
 * The caller's body as undici may have it: what happens to this stream does not happen to the caller's connection.
 *
 * undici destroys a body whose answer came early or failed; the rest of the caller's is then read and thrown away, so
 * that the answer can still reach a caller who is busy sending.
 *
 * @param source the body of the exchange; not read before the upstream does. Its error is passed on as it is.
 * @param received is told of the bytes that come.
 */
export const relayBody = (source: Readable, received: (bytes: number) => void = ignore): Readable => {
  let started = false
  const body = new Readable({
    // In object mode undici does not guess a length, so that a chunked body stays chunked whenever it arrives.
    objectMode: true,
    highWaterMark: 4,
    read: () => {
      started = true
      source.resume()
    },
    destroy: (error, callback) => {
      source.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onError)
      // A caller who waits to be asked for the body is not asked in vain.
      if (started) source.resume()
      callback(error)
    },
  })
  const onData = (chunk: Buffer): void => {
    received(chunk.length)
    if (!body.push(chunk)) source.pause()
  }
  const onEnd = (): void => {
    body.push(null)
  }
  const onClose = (): void => {
    if (!source.readableEnded) body.destroy(new CallerGone())
  }
  const onError = (error: Error): void => {
    body.destroy(error)
  }
  // Both may fail after anybody listens.
  source.on('error', ignore)
  body.on('error', ignore)
  source.pause()
  source.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onError)
  if (source.readableEnded) body.push(null)
  else if (source.errored) onError(source.errored)
  else if (source.destroyed) onClose()
  return body
}

/** The code of the error of a body that was cut by its caller. */
export const CALLER_GONE = 'SALLYPORT_CALLER_GONE'

class CallerGone extends Error {
  readonly code = CALLER_GONE
}

const ignore = (): void => undefined
