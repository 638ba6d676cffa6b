import type { Clock } from '../../../core/clock.ts'
import type { Log } from '../../../core/log.ts'
import type { Collector, Delivered } from './collector.ts'
import type { SinkError } from './sink.ts'
import type { Spool } from './spool.ts'
import type { Lines } from './spool-segment.ts'

/** Brings what is in a spool to its collector, in order. */
export interface Courier {
  /** To be called after a record was added; costs nothing to speak of. */
  readonly noted: () => void
  /** Sends all there is; resolves when that is done, when an attempt has failed, or when the signal is aborted. */
  readonly flush: (signal: AbortSignal) => Promise<void>
  readonly delivered: () => number
  readonly refused: () => number
  readonly lastError: () => SinkError | null
  readonly close: () => void
}

export interface CourierOptions {
  readonly name: string
  readonly spool: Spool
  readonly collector: Collector
  readonly batchRecords: number
  readonly batchBytes: number
  /** How long a record may wait for others. */
  readonly batchDelayMs: number
  readonly maxRetryDelayMs: number
  readonly clock: Clock
  readonly log: Log
  /** From 0 to 1; default Math.random. */
  readonly random?: () => number
}

const FIRST_RETRY_MS = 100

/**
 * Sends batch after batch: one at a time, at least once, each again until the collector has acknowledged it.
 *
 * After a failure it waits 100 ms, 200 ms, 400 ms … up to `maxRetryDelayMs`, or as long as the collector asks for,
 * within the same bound. A batch that the collector refuses is cut in halves; a single record that it refuses, while
 * it has taken others, is set aside, so that it does not hold up all that follow.
 */
export const createCourier = (options: CourierOptions): Courier => {
  const { name, spool, collector, batchBytes, batchDelayMs, clock, log } = options
  const closing = new AbortController()
  let timer: NodeJS.Timeout | null = null
  /** True when the next attempt has its time, whatever is added until then. */
  let settledOn = false
  let running: Promise<void> | null = null
  let flushing = 0
  let mostRecords = options.batchRecords
  let failures = 0
  let delivered = 0
  let refused = 0
  let lastError: SinkError | null = null

  const isDue = (): boolean => {
    const { records, bytes } = spool.waiting()
    return records >= options.batchRecords || bytes >= batchBytes
  }

  const wait = (ms: number, isFinal = true): void => {
    settledOn = isFinal
    if (timer !== null) clearTimeout(timer)
    timer = closing.signal.aborted ? null : setTimeout(() => void run(), ms).unref()
  }

  const run = (): Promise<void> => {
    if (timer !== null) clearTimeout(timer)
    timer = null
    running ??= sendAll()
      .catch((bug: unknown) => {
        log.error({ sink: name, stack: bug instanceof Error ? bug.stack : String(bug) }, 'delivering broke')
        failures += 1
        pause(0)
      })
      .finally(() => {
        running = null
        if (timer === null && spool.waiting().records > 0) wait(isDue() ? 0 : batchDelayMs, isDue())
      })
    return running
  }

  const sendAll = async (): Promise<void> => {
    do {
      const lines = spool.next({ records: mostRecords, bytes: batchBytes })
      if (lines === null) return
      const result = await collector.send(lines, closing.signal)
      if (closing.signal.aborted || !settle(lines, result)) return
    } while (flushing > 0 || isDue())
  }

  /** False when it has to be tried again later. */
  const settle = (lines: Lines, result: Delivered): boolean => {
    if (result.kind === 'acknowledged') {
      spool.acknowledge(lines)
      delivered += lines.records
      mostRecords = Math.min(options.batchRecords, mostRecords * 2)
      if (failures > 1) log.info({ sink: name, failures }, 'the collector takes records again')
      failures = 0
      return true
    }
    note(result.reason)
    if (result.kind === 'refused' && lines.records > 1) {
      mostRecords = Math.ceil(lines.records / 2)
      return true
    }
    if (result.kind === 'refused' && spool.hasDelivered() && setAside(lines, result.reason)) return true
    failures += 1
    // One alone is often a connection that had been idle for too long.
    if (failures === 2)
      log.warn({ sink: name, failed: result.reason, ...spool.waiting() }, 'the collector takes no records')
    pause(result.kind === 'failed' ? result.retryAfterMs : 0)
    return false
  }

  const setAside = (lines: Lines, reason: string): boolean => {
    const failed = spool.setAside(lines)
    if (failed !== null) {
      note(`a refused record cannot be set aside: ${failed}`)
      return false
    }
    refused += lines.records
    log.error({ sink: name, reason }, 'the collector refuses a record, which was set aside in refused.ndjson')
    return true
  }

  const note = (message: string): void => {
    lastError = { time: new Date(clock.nowMs()).toISOString(), message }
  }

  /** Not the same for every gateway, so that a collector that is back is not met by all at once. */
  const pause = (askedMs: number): void => {
    const { maxRetryDelayMs, random = Math.random } = options
    const grown = FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 20) * (0.75 + random() / 2)
    wait(Math.min(maxRetryDelayMs, Math.max(askedMs, grown)))
  }

  if (spool.waiting().records > 0) wait(0)
  return {
    noted: () => {
      if (running !== null || (timer !== null && settledOn)) return
      if (isDue()) wait(0)
      else if (timer === null) wait(batchDelayMs, false)
    },
    flush: async (signal) => {
      if (signal.aborted) return
      flushing += 1
      const aborted = new Promise<void>((resolve) => {
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
      const sent = async (): Promise<void> => {
        // What is under way may have begun before this was asked.
        await running
        if (spool.waiting().records > 0 && !closing.signal.aborted) await run()
      }
      await Promise.race([sent(), aborted])
      flushing -= 1
    },
    delivered: () => delivered,
    refused: () => refused,
    lastError: () => lastError,
    close: () => {
      closing.abort()
      if (timer !== null) clearTimeout(timer)
      timer = null
      collector.close()
    },
  }
}
