import type { Clock } from '../../../core/clock.ts'
import type { Log } from '../../../core/log.ts'
import type { ChainEnd } from '../chain.ts'
import type { LogFile } from './log-file.ts'
import { listParts, partPath } from './log-parts.ts'
import { createPartKeeper } from './part-keeper.ts'
import type { RotationConfig } from './rotation-config.ts'

export interface Rotation {
  /** To be called before a line is written; goes on in a new file when it is time. Never fails. */
  readonly before: (bytes: number, end: ChainEnd) => void
  /** To be called after a line was written. */
  readonly after: () => void
  readonly close: () => void
}

export interface RotationOptions {
  readonly config: RotationConfig
  /** Of the log itself, not of a link to it. */
  readonly path: string
  readonly chain: boolean
  readonly file: LogFile
  readonly clock: Clock
  readonly log: Log
  /** Milliseconds between two attempts after one that failed; default 1 min. */
  readonly retryMs?: number
}

const RETRY_MS = 60_000

/** Moves a log on from file to file. What cannot be rotated is written on to: a large file is better than a lost record. */
export const createRotation = (options: RotationOptions): Rotation => {
  const { config, path, file, clock, log, retryMs = RETRY_MS } = options
  const { size = Number.POSITIVE_INFINITY, every = Number.POSITIVE_INFINITY } = config
  const keeper = createPartKeeper({ ...options, isEmpty: () => file.length() === 0 })
  let lastNumber = listParts(path).at(-1)?.number ?? 0
  let period = periodOf(timeOf(file.lastLine) ?? clock.nowMs(), every)
  let retryAtMs = Number.NEGATIVE_INFINITY
  let rotated = false
  keeper.tidy()

  const rotate = (nowMs: number, end: ChainEnd): void => {
    const number = Math.max(end.seq, lastNumber + 1)
    const part = partPath(path, number, nowMs)
    const failed = file.rotate(part)
    if (failed !== null) {
      retryAtMs = nowMs + retryMs
      log.error(
        { file: path, failed, bytes: file.length() },
        'the audit file cannot be rotated and is written on to',
      )
      return
    }
    lastNumber = number
    rotated = true
    const { writer, seq, hash } = end
    const head = options.chain ? { partEnd: { writer, seq, hash } } : {}
    log.info({ file: path, part, ...head }, 'the audit file was rotated')
  }

  return {
    before: (bytes, end) => {
      const length = file.length()
      const nowMs = clock.nowMs()
      const now = periodOf(nowMs, every)
      const isDue = length + bytes > size || now > period
      // An empty file has no period yet.
      if (length === 0) period = now
      else if (isDue && nowMs >= retryAtMs) {
        rotate(nowMs, end)
        if (file.length() === 0) period = now
      }
    },
    after: () => {
      if (!rotated) return
      rotated = false
      keeper.tidy()
    },
    close: keeper.close,
  }
}

const periodOf = (atMs: number, everyMs: number): number =>
  Number.isFinite(everyMs) ? Math.floor(atMs / everyMs) : 0

/** When a record was made, whatever its shape. */
const timeOf = (line: Buffer | null): number | null => {
  if (line === null) return null
  const record: unknown = JSON.parse(line.toString('utf8'))
  if (typeof record !== 'object' || record === null) return null
  const atMs = Date.parse(String(Reflect.get(record, 'time') ?? Reflect.get(record, 'timestamp')))
  return Number.isNaN(atMs) ? null : atMs
}
