import type { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import type { Exchange } from '../../core/exchange.ts'
import type { HeldRecord } from '../../core/record-entry.ts'
import { isRefusal, type Refusal } from '../../core/refusals.ts'
import { type Answer, type AnswerOptions, type Asker, createAnswer, type RelayOutcome } from './answer.ts'
import { rawPairs } from './response-headers.ts'
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

export interface RelayOptions extends AnswerOptions {
  /** How long to wait for a free connection, where their number is limited. */
  readonly connectionWaitMs: number | null
  /** Settled when there is a connection, before anything is sent over it. */
  readonly record: HeldRecord
}

/**
 * Sends one request and streams the answer to the caller, each side at the pace of the other.
 *
 * @returns true when the answer is complete, or was cut after its head, or the caller is gone; when nothing was sent
 * to the caller, the application's failure, or the refusal by which the caller's own body ended, or that of a record
 * which was not kept. Rejects for a bug.
 */
export const relay = (
  origin: Origin,
  request: UpstreamRequest,
  exchange: Exchange,
  options: RelayOptions,
): Promise<RelayOutcome> =>
  new Promise((resolve, reject) => new Relay(origin, request, exchange, options, { resolve, reject }).start())

interface Settle {
  readonly resolve: (outcome: RelayOutcome) => void
  readonly reject: (bug: Error) => void
}

/**
 * One request under way, and what undici tells of it.
 *
 * These are the calls that undici's own code makes. Its types call them deprecated, in favour of others for which it
 * makes an object of all fields with each answer, which nobody here may go by. A class: see `createAnswer`.
 */
class Relay implements Dispatcher.DispatchHandler, Asker {
  readonly origin: Origin
  readonly request: UpstreamRequest
  readonly exchange: Exchange
  readonly options: RelayOptions
  readonly settle: Settle
  readonly answer: Answer
  /** Null until there is a connection: nothing is sent before. */
  stop: ((reason: Error) => void) | null = null
  goOn: (() => void) | null = null
  isPaused = false
  finished = false
  wait: NodeJS.Timeout | undefined = undefined
  leave: (() => unknown) | null = null

  constructor(
    origin: Origin,
    request: UpstreamRequest,
    exchange: Exchange,
    options: RelayOptions,
    settle: Settle,
  ) {
    this.origin = origin
    this.request = request
    this.exchange = exchange
    this.options = options
    this.settle = settle
    this.answer = createAnswer(exchange, options, this)
  }

  start(): void {
    const { origin, request, exchange, options } = this
    if (options.connectionWaitMs !== null) {
      const give = (): void => this.finish({ code: NO_CONNECTION, answered: false })
      this.wait = setTimeout(give, options.connectionWaitMs)
    }
    this.leave = exchange.onGone(() => this.callerGone())
    if (this.finished) return
    options.lease.onCut((refusal) => this.revoke(refusal))
    if (this.finished) return
    const dispatched: Dispatcher.DispatchOptions & { readonly servername: string } = {
      path: request.target,
      method: request.method,
      headers: request.headers,
      body: request.body,
      servername: origin.serverName,
      // Nothing is pipelined behind it: undici need not look for what would be.
      blocking: false,
    }
    origin.dispatch(dispatched, this)
  }

  get requestMethod(): string {
    return this.request.method
  }

  isFinished(): boolean {
    return this.finished
  }

  isResetting(): boolean {
    return this.origin.resetting()
  }

  finish(outcome: RelayOutcome | Error): void {
    if (this.finished) return
    this.finished = true
    const { request, settle } = this
    clearTimeout(this.wait)
    this.answer.dispose()
    this.leave?.()
    if (request.body !== null && !Buffer.isBuffer(request.body)) request.body.destroy()
    if (outcome instanceof Error && !isRefusal(outcome)) settle.reject(outcome)
    else if (this.stop === null && outcome !== true && !isRefusal(outcome))
      settle.resolve({ ...outcome, unsent: true })
    else settle.resolve(outcome)
  }

  callerGone(): void {
    this.options.lease.ended('caller')
    this.finish(true)
    this.abort()
  }

  revoke(refusal: Refusal): void {
    if (this.finished) return
    this.answer.revoke(refusal)
    this.abort()
  }

  abort(): void {
    this.stop?.(new Abandoned())
  }

  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    if (!this.isPaused) return
    this.isPaused = false
    this.goOn?.()
  }

  onConnect(stop: (reason?: Error) => void): void {
    this.stop = stop
    clearTimeout(this.wait)
    const recorded = this.options.record.settle()
    if (recorded !== true) this.finish(recorded)
    // Thrown, nothing is sent and the connection stays; told to stop, undici would close it.
    if (this.finished) throw new Abandoned()
  }

  onResponseStarted(): void {
    this.origin.answered()
    this.answer.began()
  }

  onHeaders(status: number, fields: Buffer[], goOn: () => void, reason: string): boolean {
    this.goOn = goOn
    this.answer.head(status, rawPairs(fields), reason)
    return !this.isPaused
  }

  onData(chunk: Buffer): boolean {
    this.answer.content(chunk)
    return !this.isPaused
  }

  onComplete(trailers: unknown): void {
    this.answer.complete(rawPairs(trailers))
  }

  onError(error: Error): void {
    this.answer.failed(error)
  }
}

/** Tells undici to stop; nobody is told of it. */
class Abandoned extends Error {
  readonly code = 'SALLYPORT_ABANDONED'
}
