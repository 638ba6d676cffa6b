import { Readable } from 'node:stream'

/**
 * The caller's body as undici may have it: what happens to this stream does not happen to the caller's connection.
 *
 * undici destroys a body whose answer came early or failed; the rest of the caller's is then read and thrown away, so
 * that the answer can still reach a caller who is busy sending.
 *
 * @param source the body of the exchange. It is paused while the upstream does not read.
 */
export const relayBody = (source: Readable): Readable => {
  const body = new Readable({
    // In object mode undici does not guess a length, so that a chunked body stays chunked whenever it arrives.
    objectMode: true,
    highWaterMark: 4,
    read: () => {
      source.resume()
    },
    destroy: (error, callback) => {
      source.off('data', onData).off('end', onEnd).off('close', onClose)
      source.resume()
      callback(error)
    },
  })
  const onData = (chunk: Buffer): void => {
    if (!body.push(chunk)) source.pause()
  }
  const onEnd = (): void => {
    body.push(null)
  }
  const onClose = (): void => {
    if (!source.readableEnded) body.destroy(new CallerGone())
  }
  // Both may fail after anybody listens; `onClose` and the exchange's signal tell what matters.
  source.on('error', ignore)
  body.on('error', ignore)
  source.pause()
  source.on('data', onData).on('end', onEnd).on('close', onClose)
  if (source.readableEnded) body.push(null)
  else if (source.destroyed) onClose()
  return body
}

/** The caller's connection went away before the body was complete. */
class CallerGone extends Error {
  readonly code = 'SALLYPORT_CALLER_GONE'
}

const ignore = (): void => undefined
