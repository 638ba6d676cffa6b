import { closeSync } from 'node:fs'
import type { Clock } from '../../../core/clock.ts'
import type { Log } from '../../../core/log.ts'
import { errorCode } from '../error-code.ts'
import {
  type AppendFile,
  canonicalPath,
  disturbance,
  openAppendFile,
  replaceFile,
  sizeOf,
  syncFolder,
} from './append-file.ts'
import { type FileLock, lockFile } from './file-lock.ts'
import { type FileTail, findTail, repairTail } from './file-tail.ts'
import { createLineWriter } from './line-writer.ts'

/** How often it is looked whether the file is still where it was. */
const WATCH_MS = 1_000

/** A file of lines with one writer: a line is in it whole or not at all. */
export interface LogFile {
  /** The line that was last when it was opened, without its newline; null in an empty file. */
  readonly lastLine: Buffer | null
  /**
   * Adds lines, newlines included, all of them or none; null when they were written, else why not. Their bytes must
   * stay as they are until the next were written.
   *
   * @param lastLength bytes of the last of them.
   */
  readonly append: (lines: Buffer, lastLength: number) => string | null
  /** Bytes of the lines in it. */
  readonly length: () => number
  /** Goes on in an empty file of the same name; the old one is `aside` from then on. Null when that worked, else why not. */
  readonly rotate: (aside: string) => string | null
  /** Nothing is written afterwards. */
  readonly close: () => void
}

export interface LogFileOptions {
  /** Absolute. */
  readonly path: string
  /** Wait for the disk with each `append`. */
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
  let { lastLine } = opened.tail
  let writer = createLineWriter(file, opened.tail.length, fsync)
  /** What somebody else did, so that nothing is written until it is put right. */
  let broken: string | null = null

  const append = (lines: Buffer, lastLength: number): string | null => {
    if (!lock.isHeld()) return 'another gateway has taken the file over'
    if (broken !== null) return broken
    const failed = writer.append(lines)
    if (failed === null) lastLine = lines.subarray(lines.length - lastLength, -1)
    return failed
  }

  const goOnIn = (next: AppendFile, from: number): void => {
    closeSync(file.fd)
    file = next
    writer = createLineWriter(next, from, fsync)
  }

  const rotate = (aside: string): string | null => {
    if (!file.isRegular) return 'it is not a file'
    // What is not as it should be is left for `watch`, or for the next line, to put right.
    if (!lock.isHeld() || broken !== null || writer.isDirty()) return 'it cannot be written to'
    try {
      if (disturbance(file, path, writer.length()) !== null) return 'it was touched by somebody else'
      goOnIn(replaceFile(canonicalPath(path), aside), 0)
    } catch (error) {
      return errorCode(error)
    }
    if (fsync) syncNames(aside)
    return null
  }

  /** The lines are safe by themselves: what a power failure could undo is the renaming. */
  const syncNames = (aside: string): void => {
    try {
      syncFolder(aside)
    } catch (error) {
      log.warn({ file: path, code: errorCode(error) }, 'the folder of the audit file cannot be synced')
    }
  }

  /** Somebody else's `mv`, `rm` or `truncate` must not make records vanish in silence. */
  const watch = (): void => {
    if (writer.isDirty() || broken === WAS_CUT) return
    const before = broken
    const found = disturbance(file, path, writer.length())
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
    if (size === 0 || size > writer.length()) writer = createLineWriter(file, size, fsync)
    else broken = WAS_CUT
  }

  /** The name leads to another file now: go on there if it is new, or ends as this one does. */
  const follow = (): void => {
    const next = openAppendFile(path)
    const size = sizeOf(next)
    const isOurs = size === 0 || endsWith(next, size, lastLine)
    broken = isOurs ? null : 'the file was replaced by another'
    if (isOurs) goOnIn(next, size)
    else closeSync(next.fd)
  }

  const stopWatching = every(watchMs, watch, (error) =>
    log.error({ file: path, code: errorCode(error) }, 'the audit file cannot be looked at'),
  )
  return {
    lastLine,
    append,
    length: () => writer.length(),
    rotate,
    close: () => {
      stopWatching()
      // The number of a closed file may soon be that of another.
      broken = 'it was closed'
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
const NO_LOCK: FileLock = { isHeld: () => true, isStillHeld: () => true, release: () => undefined }
