import type { Clock } from '../../core/clock.ts'
import type { RequestHead } from '../../core/exchange.ts'
import { headerValues } from '../../core/headers.ts'
import { type Refusal, refuse } from '../../core/refusals.ts'
import type { RequestFacts } from '../../core/request.ts'
import { randomUuidV7 } from '../../core/uuid.ts'
import { canonicalHost } from './canonical-host.ts'
import { plainAddress } from './ip-address.ts'
import { pathAsItCame } from './request-target.ts'

/** What can be said of a request before any of it was checked; the address is the peer's own. */
export const describeHead = (head: RequestHead, clock: Clock): RequestFacts => {
  const receivedAtMs = clock.nowMs()
  const [host = '', ...others] = headerValues(head.headers, 'host')
  return {
    id: randomUuidV7(receivedAtMs),
    method: head.method,
    host: others.length > 0 ? '' : (canonicalHost(host)?.host ?? ''),
    path: pathAsItCame(head.target),
    ip: plainAddress(head.remoteAddress),
    receivedAtMs,
  }
}

/** The connection's bytes can no longer be told apart into requests: nothing more is read from it. */
const CLOSE = ['Connection', 'close']

/**
 * A 400 of this stage.
 *
 * @param reason    quotes nothing of the request: the caller is told it too.
 * @param keepOpen  the framing is sound, so that the connection can go on.
 */
export const badRequest = (reason: string, keepOpen = false): Refusal =>
  refuse('accept', 'bad_request', reason, {
    publicDetail: `The request has ${reason}.`,
    ...(keepOpen ? {} : { headers: CLOSE }),
  })
