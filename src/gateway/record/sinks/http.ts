import type { Clock } from '../../../core/clock.ts'
import type { Log } from '../../../core/log.ts'
import { errorCode } from '../error-code.ts'
import { type CollectorOptions, createCollector } from './collector.ts'
import { type CollectorTls, prepareCollectorTls } from './collector-tls.ts'
import { type Courier, type CourierOptions, createCourier } from './courier.ts'
import { defineSink } from './define-sink.ts'
import { checkHttpConfig, type HttpConfig, httpConfig, tokenHeaders } from './http-config.ts'
import { lookForLeftSpools, type SpoolOwner } from './left-spools.ts'
import { type BareSink, SinkStartError } from './sink.ts'
import { openSpool, type Spool, type SpoolOptions } from './spool.ts'
import { checkMark, writeMark } from './spool-mark.ts'
import { pathOfWriter } from './writer-path.ts'

/** The `http` sink: kept on this disk before the request moves on, then sent to a collector in batches. */
export const http = defineSink({
  type: 'http',
  config: httpConfig,
  prepare: (name, config, preparation) => {
    const { clock, log, report, worker = null, workers = 1 } = preparation
    checkHttpConfig(config).forEach(report)
    const tls = prepareCollectorTls(config, preparation)
    const folder = pathOfWriter(config.spool, worker)
    const owner = { path: config.spool, worker, workers }
    return () => createHttpSink({ name, ...optionsOf(config), folder, owner, ...tls, clock, log })
  },
})

export type HttpSinkOptions = CollectorOptions &
  Omit<CourierOptions, 'spool' | 'collector' | 'random'> &
  SpoolOptions & {
    readonly clock: Clock
    readonly log: Log
    /** Left out: nobody looks for what other workers have left. */
    readonly owner?: SpoolOwner
    readonly lookAfterMs?: number
  }

/** A lock that is not touched for five seconds has no holder. */
const LOOK_AFTER_MS = 6000

interface Delivering {
  readonly spool: Spool
  readonly courier: Courier
  readonly close: () => void
}

/** Opens the spool and goes on with what is in it, and in those of workers that are no more. Throws `SinkStartError`. */
export const createHttpSink = (options: HttpSinkOptions): BareSink => {
  const { name, folder, log } = options
  const own = deliver(options, openOwn(options))
  const all = [own]
  const stopLooking = lookFor(options, (left) => all.push(left))
  let closed = false
  const sum = (read: (each: Delivering) => number): number =>
    all.reduce((total, each) => total + read(each), 0)
  return {
    name,
    write: (line) => {
      const failed = own.spool.append(Buffer.from(`${line}\n`))
      if (failed !== null) return { failed }
      own.courier.noted()
      return true
    },
    flush: async (signal) => {
      await Promise.all(all.map(({ courier }) => courier.flush(signal)))
    },
    close: () => {
      if (closed) return
      closed = true
      stopLooking()
      for (const each of all) each.close()
      const spoolRecords = sum(({ spool }) => spool.waiting().records)
      if (spoolRecords > 0) log.warn({ sink: name, spool: folder, spoolRecords }, 'records stay in the spool')
    },
    delivery: () => ({
      delivered: sum(({ courier }) => courier.delivered()),
      refused: sum(({ courier }) => courier.refused()),
      spoolRecords: sum(({ spool }) => spool.waiting().records),
      spoolBytes: sum(({ spool }) => spool.waiting().bytes),
      lastError: own.courier.lastError(),
    }),
  }
}

const openOwn = (options: HttpSinkOptions): Spool => {
  const { folder, owner } = options
  const spool = openSpool(options)
  if (owner === undefined) return spool
  try {
    checkMark(folder, owner.path, spool.waiting().records)
  } catch (error) {
    spool.close()
    throw error
  }
  writeMark(folder, owner.path)
  return spool
}

const deliver = (options: HttpSinkOptions, spool: Spool): Delivering => {
  const courier = createCourier({ ...options, spool, collector: createCollector(options) })
  let closed = false
  const close = (): void => {
    if (closed) return
    closed = true
    courier.close()
    spool.close()
  }
  return { spool, courier, close }
}

/** Lets go of a spool with its last record, so that whoever has it configured can have it again. */
const deliverLeft = (options: HttpSinkOptions, spool: Spool): Delivering => {
  const look = (): void => {
    // The courier is not done with what it is told here.
    if (spool.waiting().records === 0) setImmediate(() => delivering.close())
  }
  const delivering = deliver(options, {
    ...spool,
    acknowledge: (lines) => {
      spool.acknowledge(lines)
      look()
    },
    setAside: (lines) => {
      const failed = spool.setAside(lines)
      look()
      return failed
    },
  })
  return delivering
}

const lookFor = (options: HttpSinkOptions, found: (left: Delivering) => void): (() => void) => {
  const { name, owner, log, lookAfterMs = LOOK_AFTER_MS } = options
  if (owner === undefined) return () => undefined
  return lookForLeftSpools({
    ...owner,
    afterMs: lookAfterMs,
    onOwn: (folder) => {
      try {
        // It was looked at for long enough whether somebody holds it.
        const spool = openSpool({ ...options, folder, staleAfterMs: 0 })
        const spoolRecords = spool.waiting().records
        log.warn(
          { sink: name, spool: folder, spoolRecords },
          'a worker that is no more has left records, which are sent now',
        )
        found(deliverLeft(options, spool))
      } catch (error) {
        // Nobody stands behind a timer who could catch it: what is somebody else's must not end this process.
        const failed = error instanceof SinkStartError ? error.message : errorCode(error)
        log.error({ sink: name, spool: folder, failed }, 'records that a worker has left cannot be sent')
      }
    },
    onShared: (folder) => {
      log.warn({ sink: name, spool: folder }, 'another gateway has a spool of this name; each needs its own')
    },
    onStrange: (folder) => {
      log.warn({ sink: name, spool: folder }, 'records wait in a spool that no sink has')
    },
  })
}

const optionsOf = (
  config: HttpConfig,
): Omit<HttpSinkOptions, keyof CollectorTls | 'name' | 'folder' | 'owner' | 'clock' | 'log'> => ({
  url: config.url,
  format: config.format,
  compress: config.compress !== undefined,
  headers: tokenHeaders(config),
  timeoutMs: config.timeout,
  maxBytes: config.spoolBytes,
  fsync: config.fsync,
  batchRecords: config.batchRecords,
  batchBytes: config.batchBytes,
  batchDelayMs: config.batchDelay,
  maxRetryDelayMs: config.maxRetryDelay,
})
