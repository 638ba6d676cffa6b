import { createDecisionRing, type DecisionRing, type Redact } from '../admin/decisions/decision-ring.ts'
import { createTraffic, type Traffic } from '../admin/metrics/traffic.ts'
import type { JsonObject } from '../core/json.ts'
import type { Stages } from '../gateway/pipeline.ts'
import type { DecisionRecord } from '../gateway/record/decision-record.ts'
import type { RecordStage } from '../gateway/record/record.ts'
import type { Sink } from '../gateway/record/sinks/sink.ts'

/** What is known of requests across all configurations. */
export interface Telemetry {
  readonly traffic: Traffic
  readonly ring: DecisionRing
}

export const createTelemetry = (): Telemetry => ({ traffic: createTraffic(), ring: createDecisionRing() })

/** The same record stage, its outcomes counted. */
export const counted =
  (record: Stages['record'], traffic: Traffic): Stages['record'] =>
  (entry) => {
    const recorded = record(entry)
    traffic.decided(entry, typeof recorded === 'object' ? recorded : entry.outcome)
    if (recorded === 'coalesced') traffic.coalesced()
    return recorded
  }

/** The same of what is held. */
export const countedHold =
  (hold: NonNullable<RecordStage['hold']>, traffic: Traffic): NonNullable<Stages['hold']> =>
  (entry) =>
    hold(entry, (result) => traffic.decided(entry, result === true ? entry.outcome : result))

type Usage = NonNullable<Stages['usage']>

/** Tells both. */
export const usedBy = (usage: Usage, traffic: Traffic): Usage => ({
  began: () => {
    usage.began()
    traffic.began()
  },
  ended: (durationUs) => {
    usage.ended(durationUs)
    traffic.ended(durationUs)
  },
})

/** All that any of these sinks redacts, for those who read records elsewhere; null: nothing. */
export const redactionOf = (sinks: readonly Sink[]): Redact | null => {
  const redactions = sinks.flatMap(({ redact }) => (redact === undefined ? [] : [redact]))
  if (redactions.length === 0) return null
  return (record) => {
    // Only what is a record is given to this, and it stays one; to its readers it is JSON.
    let redacted = record as unknown as DecisionRecord
    for (const redact of redactions) redacted = redact(redacted)
    return redacted as unknown as JsonObject
  }
}
