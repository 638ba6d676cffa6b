import type { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import type { Exchange } from '../../core/exchange.ts'
import { isRefusal } from '../../core/refusals.ts'
import { Abandoned, type AnswerOptions, createAnswer, type RelayOutcome } from './answer.ts'
import { NO_CONNECTION } from './upstream-failure.ts'
import type { Origin } from './upstreams.ts'

/** A request as an application gets it. */
export interface UpstreamRequest {
  readonly method: string
  /** Path and query, byte for byte. */
  readonly target: string
  readonly headers: string[]
  readonly body: Buffer | Readable | null
}

export interface RelayOptions
  extends Pick<
    AnswerOptions,
    'decisionId' | 'cors' | 'setCookies' | 'stallTimeoutMs' | 'onCut' | 'lease' | 'task'
  > {
  /** How long to wait for a free connection, where their number is limited. */
  readonly connectionWaitMs: number | null
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
    let controller: Dispatcher.DispatchController | null = null
    let finished = false
    let leave = (): unknown => undefined

    const finish = (outcome: RelayOutcome | Error): void => {
      if (finished) return
      finished = true
      clearTimeout(wait)
      answer.dispose()
      leave()
      if (request.body !== null && !Buffer.isBuffer(request.body)) request.body.destroy()
      if (outcome instanceof Error && !isRefusal(outcome)) reject(outcome)
      // Nothing is sent before undici hands over its controller.
      else if (controller === null && outcome !== true && !isRefusal(outcome))
        resolve({ ...outcome, unsent: true })
      else resolve(outcome)
    }
    const onCallerGone = (): void => {
      options.lease.ended('caller')
      finish(true)
      controller?.abort(new Abandoned())
    }
    const { decisionId, cors, setCookies, stallTimeoutMs, lease, task, onCut } = options
    const answer = createAnswer(exchange, {
      decisionId,
      cors,
      setCookies,
      stallTimeoutMs,
      lease,
      task,
      onCut,
      requestMethod: request.method,
      resetting: origin.resetting,
      onAnswer: origin.answered,
      finish,
      isFinished: () => finished,
    })
    const wait =
      options.connectionWaitMs === null
        ? undefined
        : setTimeout(() => finish({ code: NO_CONNECTION, answered: false }), options.connectionWaitMs)
    leave = exchange.onGone(onCallerGone)
    if (finished) return
    options.lease.onCut((refusal) => {
      if (finished) return
      answer.revoke(refusal)
      controller?.abort(new Abandoned())
    })
    if (finished) return
    const dispatched: Dispatcher.DispatchOptions & { readonly servername: string } = {
      path: request.target,
      method: request.method,
      headers: request.headers,
      body: request.body,
      servername: origin.serverName,
      // Nothing is pipelined behind it: undici need not look for what would be.
      blocking: false,
    }
    origin.dispatch(dispatched, {
      onRequestStart: (started) => {
        controller = started
        clearTimeout(wait)
        if (finished) started.abort(new Abandoned())
      },
      onResponseStarted: answer.handler.onResponseStarted,
      onResponseStart: answer.handler.onResponseStart,
      onResponseData: answer.handler.onResponseData,
      onResponseEnd: answer.handler.onResponseEnd,
      onResponseError: answer.handler.onResponseError,
    })
  })
