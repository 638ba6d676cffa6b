import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { errorCode } from '../error-code.ts'
import { findTail } from './file-tail.ts'
import { listParts } from './log-parts.ts'
import { SinkStartError } from './sink.ts'

/** Bytes of a part that are still unpacked to find its end. */
const MOST_UNPACKED = 1 << 29
const NEWLINE = 0x0a

/**
 * The last line of the newest part; null when there is none.
 *
 * Throws `SinkStartError` when it cannot be read: a chain that began anew would hide what is missing.
 */
export const lastLineOfParts = (path: string): Buffer | null => {
  const newest = listParts(path).at(-1)
  if (newest === undefined) return null
  try {
    return newest.isPlain ? lastLineOf(newest.path) : lastLineOfPacked(`${newest.path}.gz`)
  } catch (error) {
    throw new SinkStartError(`the chain cannot go on from ${newest.path}: ${errorCode(error)}`, {
      cause: error,
    })
  }
}

const lastLineOf = (path: string): Buffer | null => {
  const fd = openSync(path, 'r')
  try {
    return findTail(fd, fstatSync(fd).size)?.lastLine ?? null
  } finally {
    closeSync(fd)
  }
}

/** Only read where somebody has taken the log itself away: a part is not packed before a record follows it. */
const lastLineOfPacked = (path: string): Buffer | null => {
  const lines = gunzipSync(readFileSync(path), { maxOutputLength: MOST_UNPACKED })
  const end = lines.lastIndexOf(NEWLINE)
  return end <= 0 ? null : lines.subarray(lines.lastIndexOf(NEWLINE, end - 1) + 1, end)
}
