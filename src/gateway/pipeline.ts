import type { Clock } from '../core/clock.ts'
import type { Bound, Decision } from '../core/decision.ts'
import type { Exchange } from '../core/exchange.ts'
import type { Log } from '../core/log.ts'
import { type HeldRecord, RECORDED, type RecordEntry } from '../core/record-entry.ts'
import { isRefusal, type Refusal, refuse, type Stage } from '../core/refusals.ts'
import type { Accepted } from '../core/request.ts'
import type { Route } from '../core/route.ts'
import type { StreamEnd } from '../core/stream.ts'
import { randomUuidV7 } from '../core/uuid.ts'
import { begin, OBSERVABLE, OBSERVED_DENY, type Progress, readable } from './progress.ts'
import type { Passage, Question, RefusedRequest, Served, Stages } from './stages.ts'
import type { Streams } from './streams.ts'

type Later<T> = T | Promise<T>

export type { Passage, Question, RefusedRequest, Served, Stages }

export interface Pipeline {
  /** Takes a request the whole way. Never throws: a bug is answered with `internal`, recorded and logged. */
  readonly handle: (exchange: Exchange) => void
  /** Records and answers what the transport's parser refused. */
  readonly refuseUnread: (exchange: Exchange, refused: RefusedRequest) => void
}

/**
 * The one place where the stages meet: accept, authenticate, bind, decide, record, then enforce.
 *
 * Synchronous as long as every stage is. What had to wait (for a key, a body, an engine) is decided
 * again by the current stages if the configuration changed meanwhile.
 */
export const createPipeline = (deps: {
  readonly current: () => Stages
  /** Supervises what was let through; left out: nobody does. */
  readonly streams?: Streams
  readonly clock: Clock
  readonly log: Log
}): Pipeline => {
  const { current, clock, log, streams } = deps

  const accept = (exchange: Exchange, body: Buffer | null): void => {
    const progress = begin(current(), exchange, body, clock.monotonicUs())
    guard(progress, () => {
      const accepted = progress.stages.accept(exchange.head)
      progress.request = accepted.request
      if (isRefusal(accepted)) return stop(progress, accepted)
      progress.route = accepted.route
      if (accepted.route.endpoint !== undefined) serve(progress, accepted)
      else authenticate(progress, accepted)
    })
  }

  const authenticate = (progress: Progress, accepted: Accepted): void => {
    if (accepted.route.access === 'public') return readBody(progress, accepted)
    const identity = timed(progress, 'authenticate', () =>
      progress.stages.authenticate(accepted.request, accepted.route, progress.exchange.signal),
    )
    after(progress, identity, (known) => {
      if (!isRefusal(known)) progress.identity = known
      else if (observes(accepted.route, known)) progress.observed = known
      else return stop(progress, known)
      readBody(progress, accepted)
    })
  }

  const serve = (progress: Progress, accepted: Accepted): void => {
    const { stages, exchange } = progress
    const served = timed(progress, 'authenticate', () => stages.serve(exchange, accepted))
    after(progress, served, (known) => {
      if (isRefusal(known)) return stop(progress, known)
      progress.identity = known.identity
      progress.bound = known.bound
      decide(progress, accepted, known.bound)
    })
  }

  const readBody = (progress: Progress, accepted: Accepted): void => {
    progress.stage = 'bind'
    if (progress.body !== null || !progress.stages.needsBody(accepted.route)) return bind(progress, accepted)
    after(progress, progress.stages.readBody(progress.exchange), (body) => {
      if (isRefusal(body)) return stop(progress, body)
      progress.body = body
      bind(progress, accepted)
    })
  }

  const bind = (progress: Progress, accepted: Accepted): void => {
    if (progress.observed !== null) return observe(progress, accepted, progress.observed)
    const bound = progress.stages.bind(accepted, progress.identity, progress.body)
    if (isRefusal(bound)) return refuseOrObserve(progress, accepted, bound)
    progress.bound = bound
    decide(progress, accepted, bound)
  }

  const decide = (progress: Progress, accepted: Accepted, bound: Bound): void => {
    const { exchange, identity, stages } = progress
    const { route, request } = accepted
    const question = { route, identity, bound, request, signal: exchange.signal }
    after(
      progress,
      timed(progress, 'decide', () => stages.decide(question)),
      (decision) => {
        if (isOutdated(progress) || isRevoked(progress)) return startAgain(progress)
        if (isRefusal(decision)) return refuseOrObserve(progress, accepted, decision)
        if (decision.decision !== 'allow')
          return refuseOrObserve(progress, accepted, deniedBy(decision), decision)
        forward(progress, accepted, bound, decision)
      },
    )
  }

  /** True when the configuration changed while the request waited, and it can begin again. */
  const isOutdated = ({ waited, stages, route }: Progress): boolean =>
    waited && current() !== stages && route?.endpoint === undefined

  /** True when the caller, or what was decided, was revoked while the request waited. */
  const isRevoked = ({ waited, stages, route, identity, bound, held }: Progress): boolean =>
    waited &&
    // Who has just ended his own session is told so.
    route?.endpoint === undefined &&
    identity !== null &&
    bound !== null &&
    held !== undefined &&
    stages.revocations?.concern(identity, bound, held) === true

  const startAgain = (progress: Progress): void => {
    end(progress)
    accept(progress.exchange, progress.body)
  }

  /** True for a refusal that `mode: observe` lets pass; what is malformed or unrecorded never does. */
  const observes = ({ mode, observeUntilMs }: Route, { refusal }: Refusal): boolean =>
    mode === 'observe' &&
    OBSERVABLE.has(refusal) &&
    (observeUntilMs === undefined || clock.nowMs() < observeUntilMs)

  const refuseOrObserve = (
    progress: Progress,
    accepted: Accepted,
    refusal: Refusal,
    outcome: Decision | Refusal = refusal,
  ): void =>
    observes(accepted.route, refusal)
      ? observe(progress, accepted, refusal, outcome)
      : stop(progress, refusal, outcome)

  /** Forwards what would have been refused, without an identity that was not verified and without an assertion. */
  const observe = (
    progress: Progress,
    accepted: Accepted,
    refusal: Refusal,
    outcome: Decision | Refusal = refusal,
  ): void => {
    if (isOutdated(progress) || isRevoked(progress)) return startAgain(progress)
    const { stages, identity, body } = progress
    const bound = progress.bound ?? stages.bindObserved(accepted, identity, body)
    if (isRefusal(bound)) return stop(progress, refusal, outcome)
    progress.bound = bound
    forward(progress, accepted, bound, isRefusal(outcome) ? OBSERVED_DENY : outcome, outcome)
  }

  const forward = (
    progress: Progress,
    accepted: Accepted,
    bound: Bound,
    decision: Decision,
    outcome: Decision | Refusal = decision,
  ): void => {
    const { exchange, stages, identity } = progress
    const decisionId = accepted.request.id
    const record = hold(progress, decisionId, outcome, decision.decision !== 'allow')
    if (record === null) return end(progress)
    progress.stage = 'enforce'
    const allowed = { accepted, identity, bound, decision, decisionId, record }
    const lease = accepted.route.upstream === '' ? undefined : streams?.open(allowed, progress.held)
    progress.lease = lease ?? null
    after(
      progress,
      stages.forward({ exchange, accepted, identity, bound, decision, decisionId, record, lease }),
      (result) => {
        const recorded = record.settle()
        if (recorded === true && result === true) {
          if (lease?.isLeft() === false) lease.ended('complete')
          return end(progress)
        }
        const cut = lease?.refused() ?? null
        lease?.ended('application')
        if (recorded !== true) unrecorded(progress, decisionId, recorded)
        else if (result !== true) return stop(progress, result, result, cut)
        end(progress)
      },
    )
  }

  /** Records an end that is not a forward, then answers; an unrecorded end is answered as such. */
  const stop = (
    progress: Progress,
    refusal: Refusal,
    outcome: Decision | Refusal = refusal,
    stream: StreamEnd | null = null,
  ): void => {
    const id = progress.recordedId === null && progress.request !== null ? progress.request.id : newId()
    if (write(progress, id, outcome, false, stream)) {
      const named = progress.recordedId === id ? id : null
      progress.stages.refuse(progress.exchange, readable(progress, refusal), named)
    }
    end(progress)
  }

  const end = (progress: Progress): void => {
    if (progress.over) return
    progress.over = true
    progress.stages.usage?.ended(clock.monotonicUs() - progress.beganUs)
  }

  /** False when it could not be recorded: the request has been answered with that. */
  const write = (
    progress: Progress,
    id: string,
    outcome: Decision | Refusal,
    observed = false,
    stream: StreamEnd | null = null,
  ): boolean => {
    // What was let through by one configuration may have been ended by a later one.
    const by = stream === null ? progress.stages : current()
    const recorded = by.record(entryOf(progress, id, outcome, observed, stream))
    if (recorded === 'coalesced') return true
    if (recorded !== true) {
      unrecorded(progress, id, recorded)
      return false
    }
    progress.recordedId = id
    return true
  }

  /** The record of what may be forwarded; null when it could not be kept: the request has been answered with that. */
  const hold = (
    progress: Progress,
    id: string,
    outcome: Decision | Refusal,
    observed: boolean,
  ): HeldRecord | null => {
    const { stages } = progress
    if (stages.hold === undefined) return write(progress, id, outcome, observed) ? RECORDED : null
    const held = stages.hold(entryOf(progress, id, outcome, observed, null))
    if (isRefusal(held)) {
      unrecorded(progress, id, held)
      return null
    }
    progress.recordedId = id
    progress.record = held
    return held
  }

  const unrecorded = (progress: Progress, decisionId: string, refusal: Refusal): void => {
    log.error({ code: refusal.refusal, detail: refusal.detail, decisionId }, 'not recorded')
    progress.stages.refuse(progress.exchange, refusal, null)
  }

  const newId = (): string => randomUuidV7(clock.nowMs())

  const timed = <T>(progress: Progress, stage: Stage, step: () => Later<T>): Later<T> => {
    progress.stage = stage
    const startedUs = clock.monotonicUs()
    const stopWatch = (): void => {
      progress.latencyUs[stage] = Math.round(clock.monotonicUs() - startedUs)
    }
    const value = step()
    if (value instanceof Promise) return value.finally(stopWatch)
    stopWatch()
    return value
  }

  /** Goes on at once with what is there, and later with what is not. */
  const after = <T>(progress: Progress, value: Later<T>, next: (value: T) => void): void => {
    if (!(value instanceof Promise)) return next(value)
    progress.waited = true
    value.then(
      (known) => guard(progress, () => next(known)),
      (bug) => fail(progress, bug),
    )
  }

  const guard = (progress: Progress, step: () => void): void => {
    try {
      step()
    } catch (bug) {
      fail(progress, bug)
    }
  }

  const fail = (progress: Progress, bug: unknown): void => {
    const stack = bug instanceof Error ? bug.stack : String(bug)
    log.error({ stage: progress.stage, requestId: progress.request?.id, stack }, 'internal error')
    try {
      // What was not recorded after all is nothing that another record could follow.
      if (progress.record !== null && progress.record.settle() !== true) progress.recordedId = null
      if (progress.exchange.reply.headSent() || progress.request === null) progress.exchange.reply.abort()
      else stop(progress, refuse(progress.stage, 'internal', 'an internal error; its stack is in the log'))
    } catch (second) {
      log.error({ stack: second instanceof Error ? second.stack : String(second) }, 'internal error')
      progress.exchange.reply.abort()
    }
    progress.lease?.ended('application')
    end(progress)
  }

  return {
    handle: (exchange) => accept(exchange, null),
    refuseUnread: (exchange, refused) => {
      const progress = begin(current(), exchange, null, clock.monotonicUs())
      progress.request = refused.request
      guard(progress, () => stop(progress, refused))
    },
  }
}

const entryOf = (
  { request, route, identity, bound, latencyUs, recordedId }: Progress,
  id: string,
  outcome: Decision | Refusal,
  observed: boolean,
  stream: StreamEnd | null,
): RecordEntry => {
  if (request === null) throw new Error('a request without facts cannot be recorded')
  return {
    id,
    follows: recordedId ?? undefined,
    outcome,
    observed,
    request,
    route,
    identity,
    bound,
    latencyUs,
    stream: stream ?? undefined,
  }
}

const denied = refuse('decide', 'denied', 'the policy says no')

const deniedBy = ({ userReason }: Decision): Refusal =>
  userReason === undefined ? denied : { ...denied, publicDetail: userReason }
