import type { Clock } from '../core/clock.ts'
import type { Decision } from '../core/decision.ts'
import type { Log } from '../core/log.ts'
import type { RecordEntry } from '../core/record-entry.ts'
import type { Refusal } from '../core/refusals.ts'
import { randomUuidV7 } from '../core/uuid.ts'
import type { OnPublished } from '../gateway/decide/revocations/feed.ts'

const NOTHING_ALLOWED: Decision = Object.freeze({
  decision: 'deny',
  source: 'engine',
  policyVersion: 'none',
  reasons: Object.freeze([]),
  errors: Object.freeze([]),
})

/** Records marks in the decision log. One that cannot be recorded is in force all the same, and logged. */
export const createMarkRecord =
  (record: (entry: RecordEntry) => true | Refusal, clock: Clock, log: Log): OnPublished =>
  (what, mark, by) => {
    const id = randomUuidV7(clock.nowMs())
    const { kind, target, effect, reason, expiresAtMs } = mark
    const recorded = record({
      id,
      outcome: NOTHING_ALLOWED,
      request: { id, method: '', host: '', path: '', ip: '', receivedAtMs: clock.nowMs() },
      route: null,
      identity: null,
      bound: null,
      latencyUs: {},
      mark: { what, id: mark.id, kind, target, effect, reason, by, expiresAtMs },
    })
    const told = { what, id: mark.id, kind, target, effect, reason, by }
    if (recorded === true) log.info(told, 'a mark in the revocation feed')
    else
      log.error({ ...told, detail: recorded.detail }, 'a mark in the revocation feed could not be recorded')
  }
