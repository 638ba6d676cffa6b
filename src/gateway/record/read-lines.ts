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

/** Called with each line in turn; false ends the reading. */
export type OnLine = (line: RawLine) => boolean

export interface LineSplitter {
  /** Takes the next bytes, which may be written over afterwards; false when enough was read. */
  readonly push: (chunk: Buffer) => boolean
  /** There are no more bytes. */
  readonly end: () => void
}

/** Cuts a stream of bytes into lines, in memory that does not grow with it. */
export const createLineSplitter = (onLine: OnLine): LineSplitter => {
  let begun: Buffer[] = []
  let begunBytes = 0
  let number = 0

  const hand = (rest: Buffer, complete: boolean): boolean => {
    const length = begunBytes + rest.length
    const whole = begun.length === 0 ? rest : Buffer.concat([...begun, rest])
    begun = []
    begunBytes = 0
    number += 1
    return onLine({ bytes: length > MAX_LINE_BYTES ? null : whole, number, complete })
  }

  const keep = (piece: Buffer): void => {
    begunBytes += piece.length
    if (begunBytes > MAX_LINE_BYTES) begun = []
    else begun.push(Buffer.from(piece))
  }

  return {
    push: (chunk) => {
      let start = 0
      for (let at = chunk.indexOf(NEWLINE); at !== -1; at = chunk.indexOf(NEWLINE, start)) {
        if (!hand(chunk.subarray(start, at), true)) return false
        start = at + 1
      }
      if (start < chunk.length) keep(chunk.subarray(start))
      return true
    },
    end: () => {
      if (begunBytes > 0) hand(Buffer.alloc(0), false)
    },
  }
}

/** Hands over the lines of a file one by one. */
export const readLines = (fd: number, onLine: OnLine): void => {
  const splitter = createLineSplitter(onLine)
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES)
  for (let position = 0; ; ) {
    const count = readSync(fd, buffer, 0, buffer.length, position)
    if (count === 0) break
    if (!splitter.push(buffer.subarray(0, count))) return
    position += count
  }
  splitter.end()
}
