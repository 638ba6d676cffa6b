import { closeSync, createReadStream, openSync } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import { errorCode } from './error-code.ts'
import { readBytes } from './read-bytes.ts'
import { createLineSplitter, type OnLine, readLines } from './read-lines.ts'

/** @see https://www.rfc-editor.org/rfc/rfc1952#section-2.3.1 */
const GZIP_MAGIC = Buffer.from([0x1f, 0x8b])

/** True when the file is compressed, whatever its name says. Throws what the system says. */
export const isCompressed = (path: string): boolean => {
  const fd = openSync(path, 'r')
  try {
    return readBytes(fd, 0, GZIP_MAGIC.length).equals(GZIP_MAGIC)
  } finally {
    closeSync(fd)
  }
}

/**
 * Hands over the lines of a log one by one, of a compressed one too.
 *
 * Throws what the system says.
 *
 * @returns null, or zlib's code when the file could not be unpacked to its end; the lines before that were handed over.
 */
export const readLog = async (path: string, onLine: OnLine): Promise<string | null> => {
  if (isCompressed(path)) return readCompressed(path, onLine)
  const fd = openSync(path, 'r')
  try {
    readLines(fd, onLine)
    return null
  } finally {
    closeSync(fd)
  }
}

const readCompressed = async (path: string, onLine: OnLine): Promise<string | null> => {
  const splitter = createLineSplitter(onLine)
  let enough = false
  const take = async (chunks: AsyncIterable<Buffer>): Promise<void> => {
    for await (const chunk of chunks) {
      enough = !splitter.push(chunk)
      if (enough) return
    }
    splitter.end()
  }
  try {
    await pipeline(createReadStream(path), createGunzip(), take)
    return null
  } catch (error) {
    // What was not wanted any more was cut off.
    if (enough) return null
    if (error instanceof Error && 'syscall' in error) throw error
    const code = errorCode(error)
    if (!code.startsWith('Z_')) throw error
    return code
  }
}
