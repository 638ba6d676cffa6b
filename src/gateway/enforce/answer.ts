import { errors } from 'undici'
import type { Exchange } from '../../core/exchange.ts'
import { type HeaderPairs, headerValues } from '../../core/headers.ts'
import type { Refusal } from '../../core/refusals.ts'
import type { StreamLease } from '../../core/stream.ts'
import { CALLER_GONE } from './request-body.ts'
import { addCookies, reasonPhrase, responseHeaders, responseTrailers } from './response-headers.ts'
import { BAD_ANSWER, NOT_HTTP, STALLED, type UpstreamFailure } from './upstream-failure.ts'

/**
 * How a request to an application ended: true when the caller has all that there will be; else why nothing was sent.
 *
 * A refusal is that of the caller's own body, or of the record of its request.
 */
export type RelayOutcome = true | Refusal | UpstreamFailure

export interface AnswerOptions {
  /** Added to the head. */
  readonly decisionId: string
  /** The route's CORS fields, instead of the application's; null: the application's stand. */
  readonly cors: readonly string[] | null
  /** Values of `Set-Cookie` that the gateway adds. */
  readonly setCookies: readonly string[]
  /** How long the caller may take nothing of the answer. */
  readonly stallTimeoutMs: number
  /** What the request lives on. */
  readonly lease: StreamLease
  /** What `Sallyport-Task-Complete` of the application may end; left out: nothing. */
  readonly task?: { readonly id: string; readonly complete: () => void } | undefined
  /** An answer was cut after its head; told once. */
  readonly onCut: (code: string) => void
}

/** Whoever has sent the request, and brings the answer. */
export interface Asker {
  readonly requestMethod: string
  /** True while a connection that the origin has reset is being torn down. */
  readonly isResetting: () => boolean
  /** Only the first call counts. An error is a bug. */
  readonly finish: (outcome: RelayOutcome | Error) => void
  readonly isFinished: () => boolean
  /** The application is not to go on until it is told to. */
  readonly pause: () => void
  readonly resume: () => void
  /** Gives up what is still to come. */
  readonly abort: () => void
}

/** What is told of an answer; nothing counts once the asker is finished. Fields are Latin-1 text. */
export interface Answer {
  /** Its first byte has come. */
  readonly began: () => void
  readonly head: (status: number, fields: HeaderPairs, reason: string | undefined) => void
  readonly content: (chunk: Buffer) => void
  readonly complete: (trailers: HeaderPairs) => void
  readonly failed: (error: Error) => void
  /** Ends it, since the caller may not have the rest: an event stream ends, whatever else is cut so that it cannot look complete. */
  readonly revoke: (refusal: Refusal) => void
  /** To be called when it is over, however it ended. */
  readonly dispose: () => void
}

/** Streams an application's answer to the caller, at the caller's pace. */
export const createAnswer = (exchange: Exchange, options: AnswerOptions, asker: Asker): Answer =>
  new StreamedAnswer(exchange, options, asker)

/** A class, since each request has one: functions made anew for each would be collected as often. */
class StreamedAnswer implements Answer {
  readonly exchange: Exchange
  readonly options: AnswerOptions
  readonly asker: Asker
  /** Some of an answer has arrived. */
  hasBegun = false
  headSent = false
  /** Server-sent events. */
  isEvents = false
  stalled: NodeJS.Timeout | undefined = undefined

  constructor(exchange: Exchange, options: AnswerOptions, asker: Asker) {
    this.exchange = exchange
    this.options = options
    this.asker = asker
  }

  began(): void {
    this.hasBegun = true
  }

  head(status: number, fields: HeaderPairs, reason: string | undefined): void {
    const { exchange, options, asker } = this
    if (asker.isFinished()) return
    const { reply } = exchange
    const version11 = exchange.head.httpVersion === '1.1'
    // 101 without having been asked, or below any status: the connection speaks something else now.
    if (status < 102) return giveUp(asker)
    const bodiless = asker.requestMethod === 'HEAD' || status < 200 || status === 204 || status === 304
    const headers = responseHeaders(fields, { trailers: version11 && !bodiless })
    if (headers === null) return giveUp(asker)
    if (status < 200) {
      // A 1.0 caller would take it for the answer itself (RFC 9110 section 15.2).
      if (version11) reply.informational(status, headers)
      return
    }
    if (options.cors !== null) replaceCors(headers, options.cors)
    addCookies(headers, options.setCookies)
    headers.push('Sallyport-Decision-Id', options.decisionId)
    reply.head(status, reasonPhrase(reason), headers)
    this.headSent = true
    if (options.task !== undefined) completeNamed(options.task, fields)
    if (isEventStream(headers)) {
      this.isEvents = true
      options.lease.becomes('events')
    }
    if (!bodiless) return
    // Complete already: undici would compare the Content-Length of a 304 with the body that it cannot have.
    reply.end()
    asker.finish(true)
  }

  content(chunk: Buffer): void {
    const { exchange, options, asker } = this
    if (asker.isFinished()) return
    options.lease.sent(chunk.length)
    if (exchange.reply.write(chunk)) return
    asker.pause()
    this.stalled = setTimeout(() => {
      this.cut(STALLED)
      asker.abort()
    }, options.stallTimeoutMs)
    exchange.reply.onDrain(() => {
      clearTimeout(this.stalled)
      asker.resume()
    })
  }

  complete(fields: HeaderPairs): void {
    const { exchange, asker } = this
    if (asker.isFinished()) return
    if (asker.isResetting()) return this.cut('ECONNRESET')
    const trailers = responseTrailers(fields)
    if (exchange.head.httpVersion === '1.1' && trailers.length > 0) exchange.reply.trailers(trailers)
    exchange.reply.end()
    asker.finish(true)
  }

  failed(error: Error): void {
    const { asker } = this
    if (asker.isFinished()) return
    const code = codeOf(error)
    if (this.headSent || code === CALLER_GONE) return this.cut(code ?? 'internal')
    asker.finish(code === null ? error : { code, answered: this.hasBegun })
  }

  revoke(refusal: Refusal): void {
    const { exchange, asker } = this
    if (!this.headSent) return asker.finish(refusal)
    if (this.isEvents) exchange.reply.end()
    else exchange.reply.abort()
    asker.finish(true)
  }

  dispose(): void {
    clearTimeout(this.stalled)
  }

  cut(code: string): void {
    const { exchange, options, asker } = this
    options.lease.ended(code === STALLED || code === CALLER_GONE ? 'caller' : 'application')
    exchange.reply.abort()
    options.onCut(code)
    asker.finish(true)
  }
}

const replaceCors = (headers: string[], cors: readonly string[]): void => {
  for (let index = headers.length - 2; index >= 0; index -= 2) {
    if (headers[index]?.toLowerCase().startsWith('access-control-')) headers.splice(index, 2)
  }
  headers.push(...cors)
}

const giveUp = (asker: Asker): void => {
  asker.finish({ code: BAD_ANSWER, answered: true })
  asker.abort()
}

/** Any other task than that of this request is not the application's to end. */
const completeNamed = (task: NonNullable<AnswerOptions['task']>, fields: HeaderPairs): void => {
  const named = headerValues(fields, 'sallyport-task-complete')
  if (named.length === 1 && named[0] === task.id) task.complete()
}

const CONTENT_TYPE = 'content-type'
const EVENT_STREAM = /^text\/event-stream(?:[\s;]|$)/i

/** @see https://html.spec.whatwg.org/multipage/server-sent-events.html */
const isEventStream = (headers: readonly string[]): boolean => {
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    // Lengths first: nearly every field is ruled out without being copied.
    if (name.length !== CONTENT_TYPE.length || name.toLowerCase() !== CONTENT_TYPE) continue
    return EVENT_STREAM.test(headers[index + 1] ?? '')
  }
  return false
}

/** Null for an error that nobody gave a code: a refusal, or a bug. */
const codeOf = (error: Error): string | null => {
  if (error instanceof errors.HTTPParserError) return NOT_HTTP
  const code: unknown = Reflect.get(error, 'code')
  return typeof code === 'string' ? code : null
}
