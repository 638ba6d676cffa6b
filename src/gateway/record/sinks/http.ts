import { X509Certificate } from 'node:crypto'
import type { Clock } from '../../../core/clock.ts'
import type { Log } from '../../../core/log.ts'
import type { Preparation } from '../../../core/settings.ts'
import { type CollectorOptions, createCollector } from './collector.ts'
import { type CourierOptions, createCourier } from './courier.ts'
import { defineSink } from './define-sink.ts'
import { checkHttpConfig, type HttpConfig, httpConfig, tokenHeaders } from './http-config.ts'
import type { BareSink } from './sink.ts'
import { openSpool, type SpoolOptions } from './spool.ts'
import { pathOfWriter } from './writer-path.ts'

/** The `http` sink: kept on this disk before the request moves on, then sent to a collector in batches. */
export const http = defineSink({
  type: 'http',
  config: httpConfig,
  prepare: (name, config, preparation) => {
    const { clock, log, report, worker = null } = preparation
    checkHttpConfig(config).forEach(report)
    const ca = readAuthorities(config, preparation)
    const folder = pathOfWriter(config.spool, worker)
    return () => createHttpSink({ name, ...optionsOf(config), folder, ca, clock, log })
  },
})

export type HttpSinkOptions = CollectorOptions &
  Omit<CourierOptions, 'spool' | 'collector' | 'random'> &
  SpoolOptions & { readonly clock: Clock; readonly log: Log }

/** Opens the spool and goes on with what is in it. Throws `SinkStartError`. */
export const createHttpSink = (options: HttpSinkOptions): BareSink => {
  const spool = openSpool(options)
  const courier = createCourier({ ...options, spool, collector: createCollector(options) })
  return {
    name: options.name,
    write: (line) => {
      const failed = spool.append(Buffer.from(`${line}\n`))
      if (failed !== null) return { failed }
      courier.noted()
      return true
    },
    flush: courier.flush,
    close: () => {
      courier.close()
      spool.close()
    },
    delivery: () => {
      const { records, bytes } = spool.waiting()
      return {
        delivered: courier.delivered(),
        refused: courier.refused(),
        spoolRecords: records,
        spoolBytes: bytes,
        lastError: courier.lastError(),
      }
    },
  }
}

const optionsOf = (
  config: HttpConfig,
): Omit<HttpSinkOptions, 'name' | 'folder' | 'ca' | 'clock' | 'log'> => ({
  url: config.url,
  format: config.format,
  compress: config.compress !== undefined,
  headers: tokenHeaders(config),
  serverName: config.tls?.serverName ?? null,
  timeoutMs: config.timeout,
  maxBytes: config.spoolBytes,
  fsync: config.fsync,
  batchRecords: config.batchRecords,
  batchBytes: config.batchBytes,
  batchDelayMs: config.batchDelay,
  maxRetryDelayMs: config.maxRetryDelay,
})

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g

const readAuthorities = (
  { tls }: HttpConfig,
  { readFile, report }: Pick<Preparation, 'readFile' | 'report'>,
): Buffer | null => {
  if (tls?.caFile === undefined) return null
  const path = ['tls', 'caFile']
  const ca = readFile(tls.caFile, path)
  if (ca !== null && !holdsCertificates(ca)) {
    report({ path, rule: 'collector-tls', message: 'the file does not hold certificates as PEM' })
  }
  return ca
}

const holdsCertificates = (content: Buffer): boolean => {
  const blocks = content.toString('latin1').match(PEM_CERTIFICATE)
  try {
    return blocks?.map((block) => new X509Certificate(block)) !== undefined
  } catch {
    return false
  }
}
