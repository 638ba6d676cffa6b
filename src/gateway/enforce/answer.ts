import { type Dispatcher, errors } from 'undici'
import type { Exchange } from '../../core/exchange.ts'
import { type HeaderPairs, headerValues } from '../../core/headers.ts'
import type { Refusal } from '../../core/refusals.ts'
import type { StreamLease } from '../../core/stream.ts'
import { CALLER_GONE } from './request-body.ts'
import { addCookies, rawPairs, reasonPhrase, responseHeaders, responseTrailers } from './response-headers.ts'
import { BAD_ANSWER, NOT_HTTP, STALLED, type UpstreamFailure } from './upstream-failure.ts'

type Controller = Dispatcher.DispatchController

/**
 * How a request to an application ended: true when the caller has all that there will be; else why nothing was sent.
 *
 * A refusal is that of the caller's own body.
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
  readonly requestMethod: string
  /** True while a connection that the origin has reset is being torn down. */
  readonly resetting: () => boolean
  /** The first byte of an answer has come. */
  readonly onAnswer: () => void
  /** Only the first call counts. An error is a bug. */
  readonly finish: (outcome: RelayOutcome | Error) => void
  readonly isFinished: () => boolean
}

/** The part of undici's handler that is about the answer. */
export type AnswerHandler = Pick<
  Required<Dispatcher.DispatchHandler>,
  'onResponseStarted' | 'onResponseStart' | 'onResponseData' | 'onResponseEnd' | 'onResponseError'
>

export interface Answer {
  readonly handler: AnswerHandler
  /** Ends it, since the caller may not have the rest: an event stream ends, whatever else is cut so that it cannot look complete. */
  readonly revoke: (refusal: Refusal) => void
  /** To be called when it is over, however it ended. */
  readonly dispose: () => void
}

interface Progress {
  readonly exchange: Exchange
  readonly options: AnswerOptions
  /** Some of an answer has arrived. */
  answered: boolean
  headSent: boolean
  /** Server-sent events. */
  isEvents: boolean
  stalled: NodeJS.Timeout | undefined
}

/** Streams an application's answer to the caller, at the caller's pace. */
export const createAnswer = (exchange: Exchange, options: AnswerOptions): Answer => {
  const progress: Progress = {
    exchange,
    options,
    answered: false,
    headSent: false,
    isEvents: false,
    stalled: undefined,
  }
  return {
    handler: {
      onResponseStarted: () => {
        progress.answered = true
        options.onAnswer()
      },
      onResponseStart: (controller, status, _headers, reason) => {
        if (!options.isFinished()) start(progress, controller, status, reason)
      },
      onResponseData: (controller, chunk) => {
        if (!options.isFinished()) pass(progress, controller, chunk)
      },
      onResponseEnd: (controller) => {
        if (!options.isFinished()) end(progress, controller)
      },
      onResponseError: (_controller, error) => {
        if (!options.isFinished()) fail(progress, error)
      },
    },
    revoke: (refusal) => {
      const { headSent, isEvents } = progress
      if (!headSent) return options.finish(refusal)
      if (isEvents) exchange.reply.end()
      else exchange.reply.abort()
      options.finish(true)
    },
    dispose: () => clearTimeout(progress.stalled),
  }
}

const start = (
  progress: Progress,
  controller: Controller,
  status: number,
  reason: string | undefined,
): void => {
  const { exchange, options } = progress
  const { reply } = exchange
  const version11 = exchange.head.httpVersion === '1.1'
  // 101 without having been asked, or below any status: the connection speaks something else now.
  if (status < 102) return giveUp(options, controller)
  const bodiless = options.requestMethod === 'HEAD' || status < 200 || status === 204 || status === 304
  const headers = responseHeaders(rawPairs(controller.rawHeaders), { trailers: version11 && !bodiless })
  if (headers === null) return giveUp(options, controller)
  if (status < 200) {
    // A 1.0 caller would take it for the answer itself (RFC 9110 section 15.2).
    if (version11) reply.informational(status, headers)
    return
  }
  if (options.cors !== null) replaceCors(headers, options.cors)
  addCookies(headers, options.setCookies)
  headers.push('Sallyport-Decision-Id', options.decisionId)
  reply.head(status, reasonPhrase(reason), headers)
  progress.headSent = true
  if (options.task !== undefined) completeNamed(options.task, rawPairs(controller.rawHeaders))
  if (isEventStream(headers)) {
    progress.isEvents = true
    options.lease.becomes('events')
  }
  if (!bodiless) return
  // Complete already: undici would compare the Content-Length of a 304 with the body that it cannot have.
  reply.end()
  options.finish(true)
}

const replaceCors = (headers: string[], cors: readonly string[]): void => {
  for (let index = headers.length - 2; index >= 0; index -= 2) {
    if (headers[index]?.toLowerCase().startsWith('access-control-')) headers.splice(index, 2)
  }
  headers.push(...cors)
}

const pass = (progress: Progress, controller: Controller, chunk: Buffer): void => {
  const { exchange, options } = progress
  options.lease.sent(chunk.length)
  if (exchange.reply.write(chunk)) return
  controller.pause()
  progress.stalled = setTimeout(() => {
    cut(progress, STALLED)
    controller.abort(new Abandoned())
  }, options.stallTimeoutMs)
  exchange.reply.onDrain(() => {
    clearTimeout(progress.stalled)
    controller.resume()
  })
}

const end = (progress: Progress, controller: Controller): void => {
  const { exchange, options } = progress
  if (options.resetting()) return cut(progress, 'ECONNRESET')
  const trailers = responseTrailers(rawPairs(controller.rawTrailers))
  if (exchange.head.httpVersion === '1.1' && trailers.length > 0) exchange.reply.trailers(trailers)
  exchange.reply.end()
  options.finish(true)
}

const fail = (progress: Progress, error: Error): void => {
  const code = codeOf(error)
  if (progress.headSent || code === CALLER_GONE) return cut(progress, code ?? 'internal')
  progress.options.finish(code === null ? error : { code, answered: progress.answered })
}

const giveUp = (options: AnswerOptions, controller: Controller): void => {
  options.finish({ code: BAD_ANSWER, answered: true })
  controller.abort(new Abandoned())
}

const cut = ({ exchange, options }: Progress, code: string): void => {
  options.lease.ended(code === STALLED || code === CALLER_GONE ? 'caller' : 'application')
  exchange.reply.abort()
  options.onCut(code)
  options.finish(true)
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

/** Tells undici to stop; nobody is told of it. */
export class Abandoned extends Error {
  readonly code = 'SALLYPORT_ABANDONED'
}
