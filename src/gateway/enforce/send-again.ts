import type { Log } from '../../core/log.ts'
import { isRefusal } from '../../core/refusals.ts'
import type { RelayOutcome } from './answer.ts'
import { isStale, mayGoElsewhere, type UpstreamFailure } from './upstream-failure.ts'
import type { Origin, Upstream } from './upstreams.ts'

/** A request that failed the first time. */
export interface FailedRequest {
  readonly origin: Origin
  readonly failure: UpstreamFailure
  /** It does no harm twice, and its body is kept. What was not sent at all can be sent again also without. */
  readonly mayRepeat: boolean
  readonly decisionId: string
}

/** How often one request is sent at most, so that nobody waits for the connections of many dead origins. */
const MOST_ATTEMPTS = 3

/**
 * Sends a request again where that can do no harm: what was never sent to each other origin once, what may have
 * been sent one time more, if it may be repeated and its connection may have been stale.
 *
 * @param send to be called with another origin, or the same one where there is no other.
 * @returns the first outcome that is no such failure, else the last one.
 */
export const sendAgain = async (
  upstream: Upstream,
  { origin: first, failure, mayRepeat, decisionId }: FailedRequest,
  send: (origin: Origin) => Promise<RelayOutcome>,
  log: Log,
): Promise<RelayOutcome> => {
  const tried = new Set([first])
  let origin = first
  let outcome: RelayOutcome = failure
  let repeats = mayRepeat
  for (let attempts = 1; attempts < MOST_ATTEMPTS && isFailure(outcome); attempts += 1) {
    const { code }: UpstreamFailure = outcome
    const repeat = repeats && isStale(outcome)
    if (!repeat && !mayGoElsewhere(outcome)) return outcome
    if (repeat) repeats = false
    const next = upstream.pick(tried) ?? (repeat ? origin : null)
    if (next === null) return outcome
    const message = repeat ? 'a kept connection was stale; asking once more' : 'asking another origin'
    log.debug({ upstream: upstream.name, decisionId, code, origin: next.authority }, message)
    upstream.retried()
    tried.add(next)
    origin = next
    outcome = await send(next)
    if (isFailure(outcome)) next.failed(outcome)
  }
  return outcome
}

export const isFailure = (outcome: RelayOutcome): outcome is UpstreamFailure =>
  outcome !== true && !isRefusal(outcome)
