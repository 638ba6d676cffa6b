import { readSync } from 'node:fs'
import { MAX_LINE_BYTES } from './read-bytes.ts'

const CHUNK_BYTES = 1 << 20
const NEWLINE = 0x0a

/** One line, without its newline. */
export interface RawLine {
  /** Null when it is longer than 64 MiB. Valid only until the next line is read. */
  readonly bytes: Buffer | null
  /** Counts from 1. */
  readonly number: number
  /** False for what stands behind the last newline. */
  readonly complete: boolean
}

/** Hands over the lines of a file one by one, in memory that does not grow with the file; false ends it. */
export const readLines = (fd: number, onLine: (line: RawLine) => boolean): void => {
  let buffer = Buffer.allocUnsafe(CHUNK_BYTES)
  let used = 0
  let number = 1
  let tooLong = false
  for (let position = 0; ; ) {
    if (used === buffer.length) {
      tooLong ||= buffer.length >= MAX_LINE_BYTES
      if (tooLong) used = 0
      else buffer = Buffer.concat([buffer], buffer.length * 2)
    }
    const count = readSync(fd, buffer, used, buffer.length - used, position)
    if (count === 0) break
    position += count
    const end = used + count
    let start = 0
    // Only what was just read can hold a newline.
    for (let at = buffer.indexOf(NEWLINE, used); at !== -1 && at < end; at = buffer.indexOf(NEWLINE, start)) {
      const bytes = tooLong ? null : buffer.subarray(start, at)
      if (!onLine({ bytes, number, complete: true })) return
      tooLong = false
      number += 1
      start = at + 1
    }
    if (start > 0) buffer.copyWithin(0, start, end)
    used = end - start
  }
  if (used > 0 || tooLong)
    onLine({ bytes: tooLong ? null : buffer.subarray(0, used), number, complete: false })
}
