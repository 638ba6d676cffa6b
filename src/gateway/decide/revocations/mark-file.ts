import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { z } from 'zod'
import { MARK } from './feed-entry.ts'
import type { Mark } from './mark.ts'

/** Marks on disk, one line each: they are in force again after a restart. */
export interface MarkFile {
  /** Those that were there when it was opened, without the withdrawn ones. */
  readonly marks: readonly Mark[]
  /** Null when it is on disk, else why not. */
  readonly add: (mark: Mark) => string | null
  readonly remove: (id: string) => string | null
  readonly close: () => void
}

const LINE = z.union([z.strictObject({ mark: MARK }), z.strictObject({ withdrawn: z.string() })])

/**
 * Opens a file of marks, which is made when it is not there; what is expired is left out of it then.
 *
 * A last line without its end was never acknowledged, and is dropped.
 *
 * @returns why not, for a file that cannot be read or written, or that holds anything else.
 */
export const openMarkFile = (path: string, nowMs: number): MarkFile | { readonly failed: string } => {
  try {
    const read = readMarks(path)
    if ('failed' in read) return read
    const marks = read.marks.filter(({ expiresAtMs }) => nowMs < expiresAtMs)
    const fd = rewrite(path, marks)
    const append = (line: object): string | null => {
      const bytes = Buffer.from(`${JSON.stringify(line)}\n`)
      const { size } = fstatSync(fd)
      try {
        const written = writeSync(fd, bytes)
        if (written === bytes.length) {
          fsyncSync(fd)
          return null
        }
        // What comes next must not be read as the rest of this line.
        ftruncateSync(fd, size)
        return 'the disk took a part of it only'
      } catch (error) {
        return codeOf(error)
      }
    }
    return {
      marks,
      add: (mark) => append({ mark }),
      remove: (withdrawn) => append({ withdrawn }),
      close: () => closeSync(fd),
    }
  } catch (error) {
    return { failed: `${path}: ${codeOf(error)}` }
  }
}

const readMarks = (path: string): { readonly marks: readonly Mark[] } | { readonly failed: string } => {
  if (!existsSync(path)) return { marks: [] }
  const marks = new Map<string, Mark>()
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1)
  for (const [index, text] of lines.entries()) {
    const read = LINE.safeParse(parsed(text))
    if (!read.success) return { failed: `${path}:${index + 1} is no line of a file of marks` }
    if ('mark' in read.data) marks.set(read.data.mark.id, Object.freeze(read.data.mark))
    else marks.delete(read.data.withdrawn)
  }
  return { marks: [...marks.values()] }
}

/** Exchanged as a whole, so that a crash leaves the one or the other. */
const rewrite = (path: string, marks: readonly Mark[]): number => {
  mkdirSync(dirname(path), { recursive: true })
  const beside = `${path}.new`
  const fd = openSync(beside, 'w', 0o600)
  for (const mark of marks) writeSync(fd, `${JSON.stringify({ mark })}\n`)
  fsyncSync(fd)
  renameSync(beside, path)
  return fd
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

const codeOf = (error: unknown): string => {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined
  return typeof code === 'string' ? code : String(error)
}
