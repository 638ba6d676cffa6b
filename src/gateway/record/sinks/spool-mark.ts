import { readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { z } from 'zod'
import { SinkStartError } from './sink.ts'

const markSchema = z.object({ spool: z.string() })

const pathOf = (folder: string): string => join(folder, 'sink.json')

/**
 * The name of the spool, as it is configured, by whose sink a folder was last used; null when nobody knows.
 *
 * Not its path, so that folders can be moved together.
 */
export const readMark = (folder: string): string | null => {
  try {
    const parsed = markSchema.safeParse(JSON.parse(readFileSync(pathOf(folder), 'utf8')))
    return parsed.success ? parsed.data.spool : null
  } catch {
    // What cannot be read says nothing.
    return null
  }
}

/** Says whose a folder is; to be called by who has its lock. Without a mark nobody else sends what is left in it. */
export const writeMark = (folder: string, path: string): void => {
  if (readMark(folder) === basename(path)) return
  try {
    writeFileSync(pathOf(folder), `${JSON.stringify({ spool: basename(path) })}\n`, { mode: 0o640 })
  } catch {
    // The folder is written to all the time: why it cannot be is told there.
  }
}

/**
 * Throws `SinkStartError` when records wait that the sink of another name has left, such as that of a gateway beside this
 * one: its collector may be another one.
 *
 * @param path as it is configured.
 */
export const checkMark = (folder: string, path: string, waiting: number): void => {
  const found = readMark(folder)
  if (found === null || found === basename(path) || waiting === 0) return
  throw new SinkStartError(
    `the spool ${folder} has records of the sink whose spool is ${found}: give each sink, and each gateway, a spool of its own`,
  )
}
