import type { Clock } from '../../../core/clock.ts'
import type { JsonObject } from '../../../core/json.ts'
import type { Log } from '../../../core/log.ts'
import type { DecisionRecord } from '../decision-record.ts'
import type { BareSink, Sink, SinkError, SinkFailure } from './sink.ts'

export interface GuardOptions {
  readonly required: boolean
  /** True for the records that the sink is to get; null: all. */
  readonly accepts: ((record: DecisionRecord) => boolean) | null
  /** Makes the record that the sink is to see; null: all of it. */
  readonly redact: ((record: DecisionRecord) => DecisionRecord) | null
  /** Makes what is written of it; its last field is `writer`. Null: the record as it is. */
  readonly reshape: ((record: DecisionRecord) => JsonObject) | null
  readonly clock: Clock
  readonly log: Log
}

/** What is the same for every kind of sink: which records it gets, what it sees of them, and how it fared. */
export const guardSink = (sink: BareSink, options: GuardOptions): Sink => {
  const { required, accepts, redact, reshape, clock, log } = options
  const { name, delivery, batch } = sink
  let written = 0
  let failed = 0
  let dropped = 0
  let lastError: SinkError | null = null
  let failing = false

  /** Says when it starts and when it is over, not at each of a thousand requests. */
  const noteFailure = (message: string): void => {
    if (required) failed += 1
    else dropped += 1
    lastError = { time: new Date(clock.nowMs()).toISOString(), message }
    if (!failing) log.error({ sink: name, required, failed: message }, 'the audit sink fails')
    failing = true
  }

  const noteSuccess = (): void => {
    written += 1
    if (failing) log.info({ sink: name, required, failed, dropped }, 'the audit sink works again')
    failing = false
  }

  const note = (result: true | SinkFailure): void => {
    if (result === true) noteSuccess()
    else noteFailure(result.failed)
  }

  const lineOf = (line: string, record: DecisionRecord, shown: DecisionRecord): string => {
    if (reshape !== null) return JSON.stringify(reshape(shown))
    return shown === record ? line : JSON.stringify(shown)
  }

  return {
    ...sink,
    required,
    ...(redact !== null && { redact }),
    write: (line, record) => {
      if (accepts?.(record) === false) return true
      const shown = redact === null ? record : redact(record)
      const result = sink.write(lineOf(line, record, shown), shown)
      note(result)
      return result
    },
    ...(batch !== undefined && {
      batch: {
        hold: (line, record, whenWritten) => {
          if (accepts?.(record) === false) return whenWritten(true)
          const shown = redact === null ? record : redact(record)
          batch.hold(lineOf(line, record, shown), shown, (result) => {
            note(result)
            whenWritten(result)
          })
        },
        commit: batch.commit,
      },
    }),
    stats: () => {
      const sent = delivery?.()
      const newest = newer(lastError, sent?.lastError ?? null)
      return { written, failed, dropped, ...sent, lastError: newest }
    },
  }
}

const newer = (left: SinkError | null, right: SinkError | null): SinkError | null => {
  if (left === null || right === null) return left ?? right
  return left.time > right.time ? left : right
}
