import { closeSync } from 'node:fs'
import type { Clock } from '../../../core/clock.ts'
import type { Log } from '../../../core/log.ts'
import { errorCode } from '../error-code.ts'
import {
  type AppendFile,
  appendAll,
  canonicalPath,
  cutBack,
  disturbance,
  openAppendFile,
  sizeOf,
  syncFolder,
} from './append-file.ts'
import { type FileLock, lockFile } from './file-lock.ts'
import { type FileTail, findTail, repairTail } from './file-tail.ts'

/** How often it is looked whether the file is still where it was. */
const WATCH_MS = 1_000

/** A file of lines with one writer: a line is in it whole or not at all. */
export interface LogFile {
  /** The line that was last when it was opened, without its newline; null in an empty file. */
  readonly lastLine: Buffer | null
  /** Adds one line, newline included; null when it was written, else why not. */
  readonly append: (line: Buffer) => string | null
  readonly close: () => void
}

export interface LogFileOptions {
  /** Absolute. */
  readonly path: string
  /** Wait for the disk at each line. */
  readonly fsync: boolean
  /** Why a file with this last line is not to be written to, to be said after its path; null when all is well. */
  readonly accept: (lastLine: Buffer) => string | null
  readonly clock: Clock
  readonly log: Log
  /** Milliseconds between two looks at the file's name; default 1 s. */
  readonly watchMs?: number
}

/** Opens, locks and repairs a log. Throws `SinkStartError`. */
export const openLogFile = (options: LogFileOptions): LogFile => {
  const { path, fsync, log, watchMs = WATCH_MS } = options
  const opened = openLocked(options)
  const { lock } = opened
  let { file } = opened
  let { length, lastLine } = opened.tail
  /** A failed write may have left a piece behind `length`. */
  let dirty = false
  /** What somebody else did, so that nothing is written until it is put right. */
  let broken: string | null = null

  const append = (line: Buffer): string | null => {
    if (!lock.isHeld()) return 'another gateway has taken the file over'
    if (broken !== null) return broken
    try {
      if (dirty) cutBack(file, length)
      dirty = true
      appendAll(file.fd, line, fsync)
    } catch (error) {
      tidy()
      return errorCode(error)
    }
    dirty = false
    length += line.length
    lastLine = line.subarray(0, -1)
    return null
  }

  const tidy = (): void => {
    try {
      cutBack(file, length)
      dirty = false
    } catch {
      // `dirty` stays set: the next line is only written once this has worked.
    }
  }

  /** Somebody else's `mv`, `rm` or `truncate` must not make records vanish in silence. */
  const watch = (): void => {
    if (dirty || broken === WAS_CUT) return
    const before = broken
    const found = disturbance(file, path, length)
    broken = null
    if (found?.kind === 'replaced') follow()
    if (found?.kind === 'resized') adopt(found.size)
    if (found !== null && (broken === null || broken !== before)) {
      log.error(
        { file: path, disturbance: found.kind, broken },
        'the audit file was touched by somebody else',
      )
    }
  }

  /** Lines that were added stay; a file that was emptied, as by a rotation, is gone on with; another cut is not. */
  const adopt = (size: number): void => {
    if (size === 0 || size > length) length = size
    else broken = WAS_CUT
  }

  /** The name leads to another file now: go on there if it is new, or ends as this one does. */
  const follow = (): void => {
    const next = openAppendFile(path)
    const size = sizeOf(next)
    const isOurs = size === 0 || endsWith(next, size, lastLine)
    broken = isOurs ? null : 'the file was replaced by another'
    closeSync(isOurs ? file.fd : next.fd)
    if (!isOurs) return
    file = next
    length = size
  }

  const stopWatching = every(watchMs, watch, (error) =>
    log.error({ file: path, code: errorCode(error) }, 'the audit file cannot be looked at'),
  )
  return {
    lastLine,
    append,
    close: () => {
      stopWatching()
      closeSync(file.fd)
      lock.release()
    },
  }
}

const WAS_CUT = 'the file was cut by somebody else'

const endsWith = (file: AppendFile, size: number, line: Buffer | null): boolean => {
  const tail = findTail(file.fd, size)
  if (line === null || tail === null || tail.lastLine === null) return false
  return tail.length === size && tail.lastLine.equals(line)
}

const every = (ms: number, step: () => void, onError: (error: unknown) => void): (() => void) => {
  const timer = setInterval(() => {
    try {
      step()
    } catch (error) {
      onError(error)
    }
  }, ms)
  timer.unref()
  return () => clearInterval(timer)
}

interface Opened {
  readonly file: AppendFile
  readonly lock: FileLock
  readonly tail: FileTail
}

const openLocked = ({ path, fsync, accept, clock, log }: LogFileOptions): Opened => {
  const file = openAppendFile(path)
  let lock: FileLock = NO_LOCK
  try {
    if (!file.isRegular) return { file, lock, tail: { length: 0, lastLine: null } }
    lock = lockFile(canonicalPath(path))
    // Only now: until the lock was had, another process may still have been writing.
    const size = sizeOf(file)
    const tail = repairTail(file.fd, size, { path, accept, now: new Date(clock.nowMs()), log })
    if (fsync && size === 0) syncFolder(path)
    return { file, lock, tail }
  } catch (error) {
    closeSync(file.fd)
    lock.release()
    throw error
  }
}

/** A device has no line that two writers could break. */
const NO_LOCK: FileLock = { isHeld: () => true, release: () => undefined }
