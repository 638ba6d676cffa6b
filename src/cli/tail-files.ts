import { type FileHandle, open, stat } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { readLinesBackwards } from '../admin/decisions/backward-lines.ts'
import { recordedAtMs } from '../admin/decisions/decision-filter.ts'
import { createDecisionReader, type ReadDecision } from '../admin/decisions/decision-reader.ts'
import type { JsonObject } from '../core/json.ts'
import { errorCode } from '../gateway/record/error-code.ts'
import { newlineBefore } from '../gateway/record/read-bytes.ts'
import type { Tail } from './tail.ts'

const POLL_MS = 200
const CHUNK_BYTES = 256 * 1024
const NEWLINE = 0x0a

/**
 * Gives the latest decisions of some logs, in the order of their times, and then what is added to them.
 *
 * A log that is renamed, as by a rotation, is read to its end before the new one of that name is.
 *
 * @returns null when it was told to stop, or what is wrong.
 */
export const tailFiles = async (paths: readonly string[], tail: Tail): Promise<string | null> => {
  const read = createDecisionReader(tail.filter)
  const followed: Followed[] = []
  try {
    const latest: JsonObject[] = []
    for (const path of paths) {
      const log = await openLog(path)
      if (typeof log === 'string') return log
      followed.push(log)
      latest.push(...(await lastOf(log, tail.lines, read)))
    }
    latest.sort((left, right) => recordedAtMs(left) - recordedAtMs(right))
    for (const record of latest.slice(Math.max(0, latest.length - tail.lines))) tail.onDecision(record)
    if (tail.follow) await followAll(followed, read, tail)
    return null
  } finally {
    for (const { handle } of followed) await handle.close()
  }
}

interface Followed {
  readonly path: string
  handle: FileHandle
  inode: number
  /** Up to where it was read. */
  position: number
  /** The beginning of a line that is not whole yet. */
  rest: Buffer
}

const openLog = async (path: string): Promise<Followed | string> => {
  try {
    const handle = await open(path, 'r')
    const { ino } = await handle.stat()
    return { path, handle, inode: ino, position: 0, rest: Buffer.alloc(0) }
  } catch (error) {
    return `${path} cannot be read: ${errorCode(error)}`
  }
}

/** The last decisions that match, newest first; what is added from now on is read later. */
const lastOf = async (log: Followed, count: number, read: ReadDecision): Promise<readonly JsonObject[]> => {
  const found: JsonObject[] = []
  const { size } = await log.handle.stat()
  log.position = newlineBefore(log.handle.fd, size) + 1
  for await (const { lines } of readLinesBackwards(log.handle, log.position)) {
    for (const line of lines) {
      if (found.length >= count) return found
      const shown = read(line, null)
      if (shown !== null) found.push(shown.record)
    }
  }
  return found
}

const followAll = async (followed: readonly Followed[], read: ReadDecision, tail: Tail): Promise<void> => {
  const give = (line: Buffer): void => {
    const shown = read(line, null)
    if (shown !== null) tail.onDecision(shown.record)
  }
  while (!tail.signal.aborted) {
    for (const log of followed) {
      await readOn(log, give)
      if (await isReplaced(log)) await goOnInNext(log, give)
    }
    await pause(POLL_MS, undefined, { signal: tail.signal }).catch(() => undefined)
  }
}

const readOn = async (log: Followed, onLine: (line: Buffer) => void): Promise<void> => {
  const { size } = await log.handle.stat()
  if (size < log.position) Object.assign(log, { position: 0, rest: Buffer.alloc(0) })
  const chunk = Buffer.alloc(CHUNK_BYTES)
  for (;;) {
    const { bytesRead } = await log.handle.read(chunk, 0, chunk.length, log.position)
    if (bytesRead === 0) return
    log.position += bytesRead
    const bytes = Buffer.concat([log.rest, chunk.subarray(0, bytesRead)])
    let start = 0
    for (let end = bytes.indexOf(NEWLINE); end !== -1; end = bytes.indexOf(NEWLINE, start)) {
      onLine(bytes.subarray(start, end))
      start = end + 1
    }
    log.rest = bytes.subarray(start)
  }
}

const isReplaced = async ({ path, inode }: Followed): Promise<boolean> => {
  try {
    return (await stat(path)).ino !== inode
  } catch {
    // Between the renaming of the old one and the making of the new one there is none.
    return false
  }
}

const goOnInNext = async (log: Followed, onLine: (line: Buffer) => void): Promise<void> => {
  const next = await openLog(log.path)
  if (typeof next === 'string') return
  // What was added between the last look and the renaming.
  await readOn(log, onLine)
  await log.handle.close()
  Object.assign(log, { handle: next.handle, inode: next.inode, position: 0, rest: Buffer.alloc(0) })
  await readOn(log, onLine)
}
