import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { errorCode } from '../error-code.ts'

const cursorSchema = z.object({
  segment: z.int(),
  offset: z.int().min(0),
  delivered: z.int().min(0),
})

/** How far a spool has been delivered. */
export interface SpoolCursor {
  /** Number of the segment. */
  readonly segment: number
  /** Bytes of it that were acknowledged, up to and with a newline. */
  readonly offset: number
  /** Records that were acknowledged since the spool was made. */
  readonly delivered: number
}

const pathOf = (folder: string): string => join(folder, 'cursor.json')

/** Null when there is none, or what is there is none: then all is sent again. */
export const readCursor = (folder: string): SpoolCursor | null => {
  try {
    const parsed = cursorSchema.safeParse(JSON.parse(readFileSync(pathOf(folder), 'utf8')))
    return parsed.success ? parsed.data : null
  } catch (error) {
    if (error instanceof SyntaxError || errorCode(error) === 'ENOENT') return null
    throw error
  }
}

/** Exchanges the file as a whole, so that a crash leaves the one or the other. Throws what the system says. */
export const writeCursor = (folder: string, cursor: SpoolCursor): void => {
  const next = `${pathOf(folder)}.next`
  writeFileSync(next, `${JSON.stringify(cursor)}\n`, { mode: 0o640 })
  renameSync(next, pathOf(folder))
}
