import type { Readable } from 'node:stream'
import { type Dispatcher, errors } from 'undici'
import type { Exchange } from '../../core/exchange.ts'
import { isRefusal, type Refusal } from '../../core/refusals.ts'
import { CALLER_GONE } from './request-body.ts'
import { rawPairs, reasonPhrase, responseHeaders, responseTrailers } from './response-headers.ts'
import { BAD_ANSWER, NO_CONNECTION, NOT_HTTP, STALLED, type UpstreamFailure } from './upstream-failure.ts'
import type { Origin } from './upstreams.ts'

/** A request as an application gets it. */
export interface UpstreamRequest {
  readonly method: string
  /** Path and query, byte for byte. */
  readonly target: string
  readonly headers: string[]
  readonly body: Buffer | Readable | null
}

export interface RelayOptions {
  /** Added to the head of the answer. */
  readonly decisionId: string
  /** How long to wait for a free connection, where their number is limited. */
  readonly connectionWaitMs: number | null
  /** How long the caller may take nothing of the answer. */
  readonly stallTimeoutMs: number
  /** An answer was cut after its head; told once. */
  readonly onCut: (code: string) => void
}

/**
 * Sends one request and streams the answer to the caller, each side at the pace of the other.
 *
 * @returns true when the answer is complete, or was cut after its head, or the caller is gone; when nothing was sent
 * to the caller, the application's failure, or the refusal by which the caller's own body ended. Rejects for a bug.
 */
export const relay = (
  origin: Origin,
  request: UpstreamRequest,
  exchange: Exchange,
  options: RelayOptions,
): Promise<RelayOutcome> =>
  new Promise((resolve, reject) => {
    const signal = exchange.signal()
    let controller: Dispatcher.DispatchController | null = null
    let finished = false

    const finish: Ending['finish'] = (outcome) => {
      if (finished) return
      finished = true
      clearTimeout(wait)
      signal.removeEventListener('abort', onCallerGone)
      if (request.body !== null && !Buffer.isBuffer(request.body)) request.body.destroy()
      if (outcome instanceof Error && !isRefusal(outcome)) reject(outcome)
      else resolve(outcome)
    }
    const onCallerGone = (): void => {
      finish(true)
      controller?.abort(new Abandoned())
    }
    const wait =
      options.connectionWaitMs === null
        ? undefined
        : setTimeout(() => finish({ code: NO_CONNECTION, answered: false }), options.connectionWaitMs)

    const answer = createAnswer(exchange, request, origin, options, { finish, isFinished: () => finished })
    if (signal.aborted) return onCallerGone()
    signal.addEventListener('abort', onCallerGone, { once: true })
    const dispatched: Dispatcher.DispatchOptions & { readonly servername: string } = {
      path: request.target,
      method: request.method,
      headers: request.headers,
      body: request.body,
      servername: origin.serverName,
    }
    origin.dispatcher.dispatch(dispatched, {
      onRequestStart: (started) => {
        controller = started
        clearTimeout(wait)
        if (finished) started.abort(new Abandoned())
      },
      ...answer,
    })
  })

export type RelayOutcome = true | Refusal | UpstreamFailure

interface Ending {
  /** Only the first call counts. An error is a bug. */
  readonly finish: (outcome: RelayOutcome | Error) => void
  readonly isFinished: () => boolean
}

type AnswerHandler = Pick<
  Required<Dispatcher.DispatchHandler>,
  'onResponseStarted' | 'onResponseStart' | 'onResponseData' | 'onResponseEnd' | 'onResponseError'
>

const createAnswer = (
  exchange: Exchange,
  request: UpstreamRequest,
  origin: Origin,
  options: RelayOptions,
  ending: Ending,
): AnswerHandler => {
  const { reply } = exchange
  const version11 = exchange.head.httpVersion === '1.1'
  let answered = false
  let headSent = false

  const cut = (code: string): void => {
    reply.abort()
    options.onCut(code)
    ending.finish(true)
  }
  const giveUp = (controller: Dispatcher.DispatchController): void => {
    ending.finish({ code: BAD_ANSWER, answered: true })
    controller.abort(new Abandoned())
  }
  const inform = (controller: Dispatcher.DispatchController, status: number): void => {
    const headers = responseHeaders(rawPairs(controller.rawHeaders), { trailers: false })
    // A 1.0 caller would take it for the answer itself (RFC 9110 section 15.2).
    if (headers !== null && version11) reply.informational(status, headers)
  }

  return {
    onResponseStarted: () => {
      answered = true
    },
    onResponseStart: (controller, status, _headers, reason) => {
      if (ending.isFinished()) return
      // 101 without having been asked, or below any status: the connection speaks something else now.
      if (status < 102) return giveUp(controller)
      if (status < 200) return inform(controller, status)
      const bodiless = request.method === 'HEAD' || status === 204 || status === 304
      const headers = responseHeaders(rawPairs(controller.rawHeaders), { trailers: version11 && !bodiless })
      if (headers === null) return giveUp(controller)
      headers.push('Sallyport-Decision-Id', options.decisionId)
      reply.head(status, reasonPhrase(reason), headers)
      headSent = true
      if (!bodiless) {
        // The head goes out at once, however long the content takes: an event stream may begin with silence.
        reply.write(NOTHING)
        return
      }
      // Complete already: undici would compare the Content-Length of a 304 with the body that it cannot have.
      reply.end()
      ending.finish(true)
    },
    onResponseData: (controller, chunk) => {
      if (ending.isFinished() || reply.write(chunk)) return
      controller.pause()
      const stalled = setTimeout(() => {
        cut(STALLED)
        controller.abort(new Abandoned())
      }, options.stallTimeoutMs)
      reply.onDrain(() => {
        clearTimeout(stalled)
        controller.resume()
      })
    },
    onResponseEnd: (controller) => {
      if (ending.isFinished()) return
      if (origin.resetting()) return cut('ECONNRESET')
      const trailers = responseTrailers(rawPairs(controller.rawTrailers))
      if (version11 && trailers.length > 0) reply.trailers(trailers)
      reply.end()
      ending.finish(true)
    },
    onResponseError: (_controller, error) => {
      if (ending.isFinished()) return
      const code = codeOf(error)
      if (headSent || code === CALLER_GONE) return cut(code ?? 'internal')
      ending.finish(code === null ? error : { code, answered })
    },
  }
}

const NOTHING = Buffer.alloc(0)

/** Null for an error that nobody gave a code: a bug. */
const codeOf = (error: Error): string | null => {
  if (error instanceof errors.HTTPParserError) return NOT_HTTP
  const code: unknown = Reflect.get(error, 'code')
  return typeof code === 'string' ? code : null
}

/** Tells undici to stop; nobody is told of it. */
class Abandoned extends Error {
  readonly code = 'SALLYPORT_ABANDONED'
}
