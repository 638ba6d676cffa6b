import { readdirSync, statSync } from 'node:fs'
import { basename, dirname, extname, join } from 'node:path'
import { readLog } from './read-log.ts'

/**
 * The last line of a log that begins a record of this id; looks into rotated and compressed parts, and into the logs of
 * several workers, the newest first.
 *
 * @param path of the log as it is configured.
 * @returns null when there is none. Throws what the system says of a file that cannot be read.
 */
export const findRecordLine = async (path: string, id: string): Promise<string | null> => {
  const needle = Buffer.from(`"id":${JSON.stringify(id)}`)
  for (const part of partsByAge(path)) {
    let found: string | null = null
    await readLog(part, ({ bytes }) => {
      // The id is the second field of a line; the same text further on is that of a request or a record that follows.
      if (bytes?.subarray(0, needle.length + 16).includes(needle)) found = bytes.toString('utf8')
      return found === null
    })
    if (found !== null) return found
  }
  return null
}

const partsByAge = (path: string): readonly string[] => {
  const folder = dirname(path)
  const extension = extname(path)
  const stem = basename(path, extension)
  return readdirSync(folder)
    .filter((name) => name.startsWith(`${stem}.`) && name.replace(/\.gz$/, '').endsWith(extension))
    .map((name) => join(folder, name))
    .sort((left, right) => statSync(right).mtimeMs - statSync(left).mtimeMs)
}
