import { errorCode } from '../error-code.ts'
import { type AppendFile, appendAll, cutBack } from './append-file.ts'

/** Adds lines to a file: what is added at once is in it whole or not at all. */
export interface LineWriter {
  /** Adds lines, newlines included; null when they were written, else the system's code. */
  readonly append: (lines: Buffer) => string | null
  /** Bytes of whole lines. */
  readonly length: () => number
  /** True while a failed write may have left a piece behind `length`. */
  readonly isDirty: () => boolean
}

/**
 * Goes on with a file whose lines are whole.
 *
 * @param from bytes that are in the file.
 * @param fsync wait for the disk each time.
 */
export const createLineWriter = (file: AppendFile, from: number, fsync: boolean): LineWriter => {
  let length = from
  let dirty = false

  const tidy = (): void => {
    try {
      cutBack(file, length)
      dirty = false
    } catch {
      // `dirty` stays set: the next line is only written once this has worked.
    }
  }

  return {
    append: (lines) => {
      try {
        if (dirty) cutBack(file, length)
        dirty = true
        appendAll(file.fd, lines, fsync)
      } catch (error) {
        tidy()
        return errorCode(error)
      }
      dirty = false
      length += lines.length
      return null
    },
    length: () => length,
    isDirty: () => dirty,
  }
}
