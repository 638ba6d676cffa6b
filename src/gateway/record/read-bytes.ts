import { readSync } from 'node:fs'

/** No record is this long: what is longer is not read into memory, and is no record. */
export const MAX_LINE_BYTES = 64 << 20

const CHUNK_BYTES = 65_536
const NEWLINE = 0x0a

/** The bytes from one position to another; fewer where the file ends before. */
export const readBytes = (fd: number, from: number, to: number): Buffer => {
  const bytes = Buffer.alloc(to - from)
  let done = 0
  while (done < bytes.length) {
    const count = readSync(fd, bytes, done, bytes.length - done, from + done)
    if (count === 0) break
    done += count
  }
  return bytes.subarray(0, done)
}

/** Position of the last newline before `end`, or -1. */
export const newlineBefore = (fd: number, end: number): number => {
  for (let to = end; to > 0; to -= CHUNK_BYTES) {
    const from = Math.max(0, to - CHUNK_BYTES)
    const found = readBytes(fd, from, to).lastIndexOf(NEWLINE)
    if (found !== -1) return from + found
  }
  return -1
}
