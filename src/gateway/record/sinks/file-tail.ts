import { closeSync, fsyncSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import type { Log } from '../../../core/log.ts'
import { errorCode } from '../error-code.ts'
import { MAX_LINE_BYTES, newlineBefore, readBytes } from '../read-bytes.ts'
import { SinkStartError } from './sink.ts'

const CHUNK_BYTES = 65_536
/** How every record starts; a torn one starts with a part of it. */
const RECORD_START = '{"v":'

/** The end of a log in which every line is complete. */
export interface FileTail {
  /** Bytes, up to and with the last newline. */
  readonly length: number
  /** Without its newline; null in an empty file. */
  readonly lastLine: Buffer | null
}

export interface RepairOptions {
  readonly path: string
  /** Why a file with this last line is not to be touched, to be said after its path; null when all is well. */
  readonly accept: (lastLine: Buffer) => string | null
  readonly now: Date
  readonly log: Log
}

/**
 * Finds the last complete line of a log, and sets aside a torn piece behind it.
 *
 * What a crash or a power failure left (bytes without a newline, or one last line that is not JSON) is
 * moved to `<path>.torn-<time>`: nobody was told of that record. Throws `SinkStartError` when the
 * file is not a decision log; such a file is left as it is.
 *
 * @param size bytes in the file.
 */
export const repairTail = (fd: number, size: number, options: RepairOptions): FileTail => {
  const { path, accept, now, log } = options
  const tail = findTail(fd, size)
  if (tail === null) throw new SinkStartError(`${path} is not a decision log: its last line is not JSON`)
  const refused = tail.lastLine === null ? null : accept(tail.lastLine)
  if (refused !== null) throw new SinkStartError(`${path} ${refused}`)
  if (tail.length === size) return tail
  if (tail.lastLine === null) mustLookLikeARecord(fd, path, size)
  const tornPath = setAside(fd, path, tail.length, size, now)
  ftruncateSync(fd, tail.length)
  fsyncSync(fd)
  log.warn({ file: path, tornFile: tornPath, bytes: size - tail.length }, 'a torn record was set aside')
  return tail
}

/** The last complete line that is JSON, looking back over one line at most that is not; null when there is none. */
export const findTail = (fd: number, size: number): FileTail | null => {
  let length = newlineBefore(fd, size) + 1
  for (let attempt = 0; attempt < 2; attempt += 1) {
    if (length === 0) return { length, lastLine: null }
    const start = newlineBefore(fd, length - 1) + 1
    if (length - start > MAX_LINE_BYTES) return null
    const lastLine = readBytes(fd, start, length - 1)
    if (isJsonObject(lastLine)) return { length, lastLine }
    length = start
  }
  return null
}

const isJsonObject = (line: Buffer): boolean => {
  try {
    const value: unknown = JSON.parse(line.toString('utf8'))
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    return false
  }
}

const mustLookLikeARecord = (fd: number, path: string, size: number): void => {
  const start = readBytes(fd, 0, Math.min(size, RECORD_START.length)).toString('latin1')
  if (!RECORD_START.startsWith(start)) {
    throw new SinkStartError(`${path} is not a decision log: it does not start with a record`)
  }
}

const setAside = (fd: number, path: string, from: number, to: number, now: Date): string => {
  const { torn, tornPath } = createTornFile(`${path}.torn-${now.toISOString().replaceAll(':', '')}`)
  try {
    for (let at = from; at < to; at += CHUNK_BYTES) {
      const bytes = readBytes(fd, at, Math.min(to, at + CHUNK_BYTES))
      let done = 0
      while (done < bytes.length) done += writeSync(torn, bytes, done)
    }
    fsyncSync(torn)
  } catch (error) {
    throw new SinkStartError(`a torn record cannot be moved to ${tornPath}: ${errorCode(error)}`, {
      cause: error,
    })
  } finally {
    closeSync(torn)
  }
  return tornPath
}

const createTornFile = (wanted: string): { readonly torn: number; readonly tornPath: string } => {
  for (let attempt = 0; ; attempt += 1) {
    const tornPath = attempt === 0 ? wanted : `${wanted}-${attempt}`
    try {
      return { torn: openSync(tornPath, 'wx', 0o640), tornPath }
    } catch (error) {
      if (errorCode(error) !== 'EEXIST') {
        throw new SinkStartError(`${tornPath} cannot be written: ${errorCode(error)}`, { cause: error })
      }
    }
  }
}
