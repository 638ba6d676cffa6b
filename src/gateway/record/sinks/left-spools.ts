import { readdirSync, statSync } from 'node:fs'
import { basename, dirname, extname, join } from 'node:path'
import { readCursor } from './spool-cursor.ts'
import { readMark } from './spool-mark.ts'
import { listSegments } from './spool-segment.ts'
import { pathOfWriter } from './writer-path.ts'

/** Whose spool it is. */
export interface SpoolOwner {
  /** As it is configured, the same for all workers. */
  readonly path: string
  /** Null: the only one. */
  readonly worker: number | null
  readonly workers: number
}

export interface LeftSpoolsOptions extends SpoolOwner {
  /** Longer than a holder of a lock can be silent. */
  readonly afterMs: number
  /** A folder of this very sink, by another number of workers. */
  readonly onOwn: (folder: string) => void
  /** A folder of a sink of this name, by another number of workers, that somebody has now. */
  readonly onShared: (folder: string) => void
  /** A folder beside it that nobody has. */
  readonly onStrange: (folder: string) => void
}

/**
 * Looks, once and a while after the start, for records that wait in folders beside a spool that nobody has.
 *
 * Of several workers the first one looks. Does not look elsewhere: a spool that lay in another folder is not found.
 *
 * @returns what calls it off.
 */
export const lookForLeftSpools = (options: LeftSpoolsOptions): (() => void) => {
  const { worker, path, afterMs, onOwn, onShared, onStrange } = options
  if (worker !== null && worker !== 0) return () => undefined
  const locksBefore = new Map(spoolsBeside(path).map((folder) => [folder, lockTime(folder)]))
  const isFree = (folder: string): boolean => {
    const time = lockTime(folder)
    // A lock whose holder lives is touched all the time.
    return time === null || time === locksBefore.get(folder)
  }
  const used = new Set(foldersOf(options))
  const timer = setTimeout(() => {
    for (const folder of spoolsBeside(path)) {
      if (used.has(folder)) continue
      // A folder may be called as a worker's of this sink, and be the only one of another gateway.
      const isOwn = isOfPath(folder, path) && readMark(folder) === basename(path)
      if (!isFree(folder)) {
        if (isOwn) onShared(folder)
      } else if (holdsRecords(folder)) {
        if (isOwn) onOwn(folder)
        else onStrange(folder)
      }
    }
  }, afterMs).unref()
  return () => clearTimeout(timer)
}

const foldersOf = ({ path, worker, workers }: SpoolOwner): readonly string[] =>
  worker === null ? [path] : Array.from({ length: workers }, (_, index) => pathOfWriter(path, index))

/** True for the folder that is configured, and for that of any worker. */
const isOfPath = (folder: string, path: string): boolean => {
  if (folder === path) return true
  const extension = extname(path)
  const stem = basename(path, extension)
  const name = basename(folder, extension)
  const number = name.slice(stem.length + 1)
  return /^\d+$/.test(number) && folder === pathOfWriter(path, Number(number))
}

const spoolsBeside = (path: string): readonly string[] => {
  try {
    return readdirSync(dirname(path), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => join(dirname(path), name))
      .filter(isSpool)
  } catch {
    // What cannot be looked at cannot be sent either.
    return []
  }
}

/** False also when it cannot be looked into, as `lost+found` cannot: that says nothing of the others. */
const isSpool = (folder: string): boolean => modifiedMs(join(folder, 'cursor.json')) !== null

/** Null also when it cannot be looked at: whoever opens the spool is told why. */
const lockTime = (folder: string): number | null => modifiedMs(join(folder, 'spool.lock'))

const modifiedMs = (path: string): number | null => {
  try {
    return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? null
  } catch {
    return null
  }
}

const holdsRecords = (folder: string): boolean => {
  try {
    const cursor = readCursor(folder)
    return listSegments(folder).some((number) => {
      const sent = number === cursor?.segment ? cursor.offset : 0
      const { size } = statSync(join(folder, `${String(number).padStart(12, '0')}.ndjson`))
      return number >= (cursor?.segment ?? 0) && size > sent
    })
  } catch {
    return false
  }
}
