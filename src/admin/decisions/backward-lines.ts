import type { FileHandle } from 'node:fs/promises'

const CHUNK_BYTES = 256 * 1024
/** A line of more than this ends the reading: it is no record. */
const MAX_LINE_BYTES = 16 << 20
const NEWLINE = 0x0a

export interface LineBatch {
  /** Complete lines without their newlines, the last one of the file first. */
  readonly lines: readonly Buffer[]
  /** True when no line stands before these. */
  readonly isLast: boolean
}

/**
 * Reads the lines of a file from some place to its beginning, in batches; what stands behind the last newline is no line.
 *
 * @param size where it begins, such as the size of the file.
 * @param maxBytes how far back it reads; default to the beginning.
 * @param chunkBytes how much it reads at once; default 256 KiB.
 */
export async function* readLinesBackwards(
  file: FileHandle,
  size: number,
  { maxBytes = size, chunkBytes = CHUNK_BYTES } = {},
): AsyncGenerator<LineBatch> {
  if (size === 0) yield { lines: [], isLast: true }
  const lowest = Math.max(0, size - maxBytes)
  /** The beginning of what was read already: the rest of a line that starts before it; null: no newline yet. */
  let rest: Buffer | null = null
  for (let to = size; to > lowest; ) {
    const from = Math.max(lowest, to - chunkBytes)
    const chunk = await readRange(file, from, to)
    // Somebody has cut the file.
    if (chunk.length < to - from) return
    const bytes: Buffer = rest === null ? chunk : Buffer.concat([chunk, rest])
    const lines: Buffer[] = []
    let end = rest === null ? bytes.lastIndexOf(NEWLINE) : bytes.length
    while (end > 0) {
      const newline = bytes.lastIndexOf(NEWLINE, end - 1)
      if (newline === -1) break
      lines.push(bytes.subarray(newline + 1, end))
      end = newline
    }
    if (end !== -1) rest = bytes.subarray(0, end)
    if (from === 0 && rest !== null && rest.length > 0) lines.push(rest)
    yield { lines, isLast: from === 0 }
    if (rest !== null && rest.length > MAX_LINE_BYTES) return
    to = from
  }
}

const readRange = async (file: FileHandle, from: number, to: number): Promise<Buffer> => {
  const buffer = Buffer.alloc(to - from)
  let done = 0
  while (done < buffer.length) {
    const { bytesRead } = await file.read(buffer, done, buffer.length - done, from + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  return buffer.subarray(0, done)
}
