import type { Dialect } from '../../core/dialect.ts'
import type { Exchange, RequestHead } from '../../core/exchange.ts'
import { headerValues } from '../../core/headers.ts'
import { isRefusal, type Refusal, refuse } from '../../core/refusals.ts'

export interface BodyLimits {
  /** More than this is `too_large`, at once when `Content-Length` says so. */
  readonly maxBytes: number
  /** From the call until the last byte. */
  readonly timeoutMs: number
}

/**
 * The whole body of a request, as it came.
 *
 * What is refused is not read any further: the rest stays in the stream, paused.
 *
 * @returns `too_large`, `request_timeout`, what the body's own error says, or `bad_request` when the caller went away
 * before the end.
 */
export const readBody = (exchange: Exchange, limits: BodyLimits): Promise<Buffer | Refusal> => {
  const { maxBytes, timeoutMs } = limits
  const { body, head } = exchange
  const [contentLength] = headerValues(head.headers, 'content-length')
  if (contentLength !== undefined && Number(contentLength) > maxBytes)
    return Promise.resolve(tooLarge(maxBytes))
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let size = 0
    let leave = (): unknown => undefined
    const finish = (result: Buffer | Refusal): void => {
      clearTimeout(timer)
      body.off('data', onData).off('end', onEnd).off('error', onError).off('close', onGone)
      leave()
      if (!Buffer.isBuffer(result)) body.pause()
      resolve(result)
    }
    const onData = (chunk: Buffer): void => {
      size += chunk.length
      if (size > maxBytes) return finish(tooLarge(maxBytes))
      chunks.push(chunk)
    }
    const onEnd = (): void => finish(Buffer.concat(chunks, size))
    const onGone = (): void => finish(callerGone())
    // Such as the pace of the body, which the transport watches, or chunks that its parser cannot read.
    const onError = (error: Error): void => finish(isRefusal(error) ? error : callerGone())
    const timer = setTimeout(() => finish(tooSlow(timeoutMs)), timeoutMs)
    // Stays for good: a stream that fails later, with nobody listening, would end the process.
    body.on('error', ignore)
    body.on('data', onData).on('end', onEnd).on('error', onError).on('close', onGone)
    leave = exchange.onGone(onGone)
    if (body.readableEnded) onEnd()
    else if (body.destroyed) onGone()
  })
}

const ignore = (): void => undefined

/**
 * True when a question comes with all of the body that it is about: a proxy that asks keeps it, but for Envoy where it is
 * told to send it along and nothing was cut off.
 *
 * @param dialect left out: the request is the caller's own.
 */
const bringsBody = (dialect: Dialect | undefined, { headers }: RequestHead): boolean => {
  if (dialect === undefined) return true
  const said = headerValues(headers, 'x-envoy-auth-partial-body')
  return dialect !== 'forward-auth' && said.length === 1 && said[0] === 'false'
}

/**
 * The body of a request that may be asked about only.
 *
 * Envoy says nothing of a body that is empty: whoever says that he has sent all of it then is the caller.
 */
export const readBroughtBody = async (
  exchange: Exchange,
  dialect: Dialect | undefined,
  limits: BodyLimits,
): Promise<Buffer | Refusal> => {
  if (!bringsBody(dialect, exchange.head)) return BODY_NOT_THERE
  const body = await readBody(exchange, limits)
  return dialect !== undefined && !isRefusal(body) && body.length === 0 ? BODY_NOT_THERE : body
}

const BODY_NOT_THERE = refuse(
  'bind',
  'bad_request',
  'the mapping reads the body, which is not sent to a listener of this kind',
)

const tooLarge = (maxBytes: number): Refusal =>
  refuse('bind', 'too_large', `the body is over ${maxBytes} bytes`, {
    publicDetail: `The body may have at most ${maxBytes} bytes.`,
  })

const tooSlow = (timeoutMs: number): Refusal =>
  refuse('bind', 'request_timeout', `the body did not arrive within ${timeoutMs} ms`)

const callerGone = (): Refusal =>
  refuse('bind', 'bad_request', 'the caller went away before the body was complete')
