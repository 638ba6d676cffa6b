import { appendFileSync, closeSync, mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../../../core/clock.ts'
import type { Log } from '../../../core/log.ts'
import { errorCode } from '../error-code.ts'
import { sizeOf } from './append-file.ts'
import { type FileLock, lockFile } from './file-lock.ts'
import { SinkStartError } from './sink.ts'
import { readCursor, type SpoolCursor, writeCursor } from './spool-cursor.ts'
import {
  countLines,
  type Lines,
  listSegments,
  openSegment,
  readSegmentLines,
  removeSegment,
  type SpoolSegment,
} from './spool-segment.ts'

/** Records that wait on this disk until somebody has acknowledged them. */
export interface Spool {
  /** Adds one line, newline included; null when it is kept, else why not. */
  readonly append: (line: Buffer) => string | null
  /** The oldest lines that were not acknowledged; null when there are none. */
  readonly next: (most: { readonly records: number; readonly bytes: number }) => Lines | null
  /** To be called with what `next` gave last: it is not given again. */
  readonly acknowledge: (lines: Lines) => void
  /** As `acknowledge`, for what nobody wants: kept in `refused.ndjson`, within the same bound. Null, or why not. */
  readonly setAside: (lines: Lines) => string | null
  readonly waiting: () => { readonly records: number; readonly bytes: number }
  /** True when the other side has ever acknowledged something. */
  readonly hasDelivered: () => boolean
  readonly close: () => void
}

export interface SpoolOptions {
  /** Absolute; made when missing. */
  readonly folder: string
  /** Most bytes on the disk. */
  readonly maxBytes: number
  /** Wait for the disk at each line. */
  readonly fsync: boolean
  readonly clock: Clock
  readonly log: Log
  /** See `lockFile`. */
  readonly staleAfterMs?: number
}

const TAKEN_OVER = 'another gateway has taken the spool over'
const MOST_SEGMENT_BYTES = 8 << 20
const SEGMENTS = 8
/** A file all of which was delivered goes when it has this size. */
const TIDY_BYTES = 1 << 20

/** Opens a spool and goes on where it was left. Throws `SinkStartError`; `SinkInUseError` when it has another writer. */
export const openSpool = (options: SpoolOptions): Spool => {
  const { folder, maxBytes, log } = options
  const lock = lockSpool(options)
  const opened = releasingOnError(lock, () => openSegments(options))
  let { segments, cursor } = opened
  const segmentBytes = Math.min(MOST_SEGMENT_BYTES, Math.max(1, Math.floor(maxBytes / SEGMENTS)))
  const refusedPath = join(folder, 'refused.ndjson')
  let refusedBytes = statSync(refusedPath, { throwIfNoEntry: false })?.size ?? 0
  let records = countRecords(opened)
  let closed = false
  let unsaved = false

  const first = (): SpoolSegment => nth(segments, 0)
  const last = (): SpoolSegment => nth(segments, segments.length - 1)
  const onDisk = (): number => segments.reduce((sum, { writer }) => sum + writer.length(), refusedBytes)
  const isDelivered = (): boolean => segments.length === 1 && cursor.offset >= last().writer.length()

  /** Goes on in a new file. What cannot be begun anew is written on to. */
  const roll = (): void => {
    if (last().writer.isDirty()) return
    try {
      segments.push(openSegment(last().number + 1, segmentOptions(options)))
    } catch (error) {
      log.error({ spool: folder, failed: messageOf(error) }, 'the spool cannot go on in a new file')
    }
  }

  const tidy = (): void => {
    if (isDelivered() && last().writer.length() >= Math.min(segmentBytes, TIDY_BYTES)) roll()
    while (segments.length > 1 && cursor.offset >= first().writer.length()) {
      try {
        removeSegment(first())
      } catch (error) {
        log.error({ spool: folder, code: errorCode(error) }, 'a file of the spool cannot be removed')
      }
      segments.shift()
      cursor = { ...cursor, segment: first().number, offset: 0 }
    }
  }

  const save = (): void => {
    try {
      writeCursor(folder, cursor)
      unsaved = false
    } catch (error) {
      if (!unsaved)
        log.warn({ spool: folder, code: errorCode(error) }, 'after a restart records are sent again')
      unsaved = true
    }
  }

  const advance = ({ bytes, records: count }: Lines, delivered: number): void => {
    cursor = { ...cursor, offset: cursor.offset + bytes.length, delivered: cursor.delivered + delivered }
    records -= count
    tidy()
    save()
  }

  /** Somebody else has cut a file: what is gone is gone, and said; the rest is read anew. */
  const noticeCut = (): void => {
    if (segments.every(({ file, writer }) => sizeOf(file) >= writer.length())) return
    closeAll(segments)
    const found = openSegments(options)
    segments = found.segments
    cursor = found.cursor
    const lost = records - countRecords(found)
    records -= lost
    log.error({ spool: folder, lost }, 'the spool was cut by somebody else')
  }

  return {
    append: (line) => {
      if (closed) return 'it was closed'
      if (!lock.isHeld()) return TAKEN_OVER
      if (onDisk() + line.length > maxBytes && isDelivered() && last().writer.length() > 0) {
        roll()
        tidy()
      }
      if (onDisk() + line.length > maxBytes) return 'the spool is full'
      const length = last().writer.length()
      if (length > 0 && length + line.length > segmentBytes) roll()
      const failed = last().writer.append(line)
      if (failed === null) records += 1
      return failed
    },
    next: (most) => {
      if (closed || records === 0 || !lock.isStillHeld()) return null
      noticeCut()
      tidy()
      return readSegmentLines(first(), cursor.offset, most)
    },
    acknowledge: (lines) => {
      if (lock.isStillHeld()) advance(lines, lines.records)
    },
    setAside: (lines) => {
      if (!lock.isStillHeld()) return TAKEN_OVER
      try {
        appendFileSync(refusedPath, lines.bytes, { mode: 0o640 })
      } catch (error) {
        return errorCode(error)
      }
      refusedBytes += lines.bytes.length
      advance(lines, 0)
      return null
    },
    // What somebody else has taken over is for him to deliver; he may have written after it.
    waiting: () =>
      lock.isHeld() ? { records, bytes: onDisk() - cursor.offset - refusedBytes } : { records: 0, bytes: 0 },
    hasDelivered: () => cursor.delivered > 0,
    close: () => {
      if (closed) return
      closed = true
      closeAll(segments)
      lock.release()
    },
  }
}

const nth = (segments: readonly SpoolSegment[], index: number): SpoolSegment => {
  const segment = segments[index]
  if (segment === undefined) throw new Error('a spool has always a file')
  return segment
}

const messageOf = (error: unknown): string =>
  error instanceof SinkStartError ? error.message : errorCode(error)

const segmentOptions = ({ folder, fsync, clock, log }: SpoolOptions) => ({
  folder,
  fsync,
  now: new Date(clock.nowMs()),
  log,
})

interface Opened {
  /** One at least. */
  readonly segments: SpoolSegment[]
  readonly cursor: SpoolCursor
}

const lockSpool = ({ folder, staleAfterMs }: SpoolOptions): FileLock => {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o750 })
  } catch (error) {
    throw new SinkStartError(`the spool ${folder} cannot be made: ${errorCode(error)}`, { cause: error })
  }
  return lockFile(join(folder, 'spool'), staleAfterMs === undefined ? {} : { staleAfterMs })
}

const releasingOnError = <T>(lock: FileLock, step: () => T): T => {
  try {
    return step()
  } catch (error) {
    lock.release()
    throw error
  }
}

const openSegments = (options: SpoolOptions): Opened => {
  const { folder } = options
  const segments: SpoolSegment[] = []
  try {
    for (const number of listSegments(folder)) segments.push(openSegment(number, segmentOptions(options)))
    const cursor = settleCursor(readCursor(folder), segments, options)
    // Before a line follows: an old cursor must not point into what is written after it.
    writeCursor(folder, cursor)
    return { segments, cursor }
  } catch (error) {
    closeAll(segments)
    if (error instanceof SinkStartError) throw error
    throw new SinkStartError(`the spool ${folder} cannot be opened: ${errorCode(error)}`, { cause: error })
  }
}

const closeAll = (segments: readonly SpoolSegment[]): void => {
  for (const { file } of segments) closeSync(file.fd)
}

/** Those that were not delivered. */
const countRecords = ({ segments, cursor }: Opened): number =>
  segments.reduce(
    (sum, segment, index) =>
      sum + countLines(segment, index === 0 ? cursor.offset : 0, segment.writer.length()),
    0,
  )

/** Removes what was delivered, and brings the cursor to the first segment that is left. */
const settleCursor = (
  found: SpoolCursor | null,
  segments: SpoolSegment[],
  options: SpoolOptions,
): SpoolCursor => {
  const delivered = found?.delivered ?? 0
  const at = found?.segment ?? 0
  while (segments.length > 0 && nth(segments, 0).number < at) {
    removeSegment(nth(segments, 0))
    segments.shift()
  }
  if (segments.length === 0) segments.push(openSegment(Math.max(at, 1), segmentOptions(options)))
  const { number, writer } = nth(segments, 0)
  // What was delivered may be missing after a power failure, never the other way round.
  return {
    segment: number,
    offset: number === at ? Math.min(found?.offset ?? 0, writer.length()) : 0,
    delivered,
  }
}
