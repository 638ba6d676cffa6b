import { createReadStream } from 'node:fs'
import { createGunzip } from 'node:zlib'
import { isCompressed } from '../../gateway/record/read-log.ts'

const BATCH_BYTES = 1 << 18
/** A line that is longer is none of ours, and is passed over. */
const MAX_LINE_BYTES = 64 * 1024 * 1024
const NEWLINE = 0x0a

/**
 * Whole lines of a log, a piece at a time, of a compressed one too.
 *
 * Throws what the system or zlib says.
 *
 * @param onBytes told how many bytes of the file were read.
 */
export async function* readBatches(
  path: string,
  onBytes: (count: number) => void,
): AsyncGenerator<Buffer, void, void> {
  const file = createReadStream(path, { highWaterMark: 1 << 18 })
  file.on('data', (chunk) => onBytes(chunk.length))
  const gunzip = isCompressed(path) ? createGunzip() : null
  if (gunzip !== null) {
    file.on('error', (error) => gunzip.destroy(error))
    file.pipe(gunzip)
  }
  let pieces: Buffer[] = []
  let size = 0
  try {
    for await (const chunk of gunzip ?? file) {
      pieces.push(chunk)
      size += chunk.length
      if (size < BATCH_BYTES) continue
      const whole = Buffer.concat(pieces)
      const end = whole.lastIndexOf(NEWLINE) + 1
      if (end > 0) yield whole.subarray(0, end)
      const rest = whole.subarray(end)
      pieces = rest.length > MAX_LINE_BYTES ? [] : [Buffer.from(rest)]
      size = pieces.reduce((sum, piece) => sum + piece.length, 0)
    }
    if (size > 0) yield Buffer.concat(pieces)
  } finally {
    file.destroy()
    gunzip?.destroy()
  }
}
