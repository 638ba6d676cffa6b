import {
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { errorCode } from '../error-code.ts'
import { SinkStartError } from './sink.ts'

/** A file to which whole lines are added, or nothing. */
export interface AppendFile {
  readonly fd: number
  readonly device: number
  readonly inode: number
  /** False for a device such as `/dev/null`, which cannot be read back or cut. */
  readonly isRegular: boolean
}

const { O_APPEND, O_CREAT, O_RDWR } = constants

/** Opens a file for appending, making it (0640) and its folders (0750). Throws `SinkStartError`. */
export const openAppendFile = (path: string): AppendFile => {
  try {
    const found = statSync(path, { throwIfNoEntry: false })
    // Opening a named pipe would wait for its reader.
    if (found !== undefined && !found.isFile() && !found.isCharacterDevice()) {
      throw new SinkStartError(`${path} is not a file`)
    }
    if (found === undefined) mkdirSync(dirname(path), { recursive: true, mode: 0o750 })
    return { ...openForAppending(path), isRegular: found === undefined || found.isFile() }
  } catch (error) {
    if (error instanceof SinkStartError) throw error
    throw new SinkStartError(`${path} cannot be opened: ${errorCode(error)}`, { cause: error })
  }
}

const openForAppending = (path: string): Omit<AppendFile, 'isRegular'> => {
  const fd = openSync(path, O_APPEND | O_CREAT | O_RDWR, 0o640)
  const { dev, ino } = fstatSync(fd)
  return { fd, device: dev, inode: ino }
}

/**
 * Gives a file another name and puts an empty one in its place.
 *
 * Throws what the system says; the file then has its old name, as far as the system lets it.
 */
export const replaceFile = (path: string, aside: string): AppendFile => {
  const fresh = `${path}.next`
  rmSync(fresh, { force: true })
  const next = openForAppending(fresh)
  try {
    renameSync(path, aside)
    try {
      renameSync(fresh, path)
    } catch (error) {
      renameSync(aside, path)
      throw error
    }
    return { ...next, isRegular: true }
  } catch (error) {
    closeSync(next.fd)
    rmSync(fresh, { force: true })
    throw error
  }
}

/** False for what cannot be read back, such as `/dev/null`. */
export const isRegularFile = (path: string): boolean => statSync(path).isFile()

/** Bytes in the file now. */
export const sizeOf = (file: AppendFile): number => fstatSync(file.fd).size

/** One name for a file, whatever way leads to it. */
export const canonicalPath = (path: string): string => realpathSync(path)

/** Makes a new file's name survive a power failure. */
export const syncFolder = (path: string): void => {
  const folder = openSync(dirname(path), 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}

/** Writes all of it, however many calls that takes. Throws what the system says. */
export const appendAll = (fd: number, bytes: Buffer, sync: boolean): void => {
  let done = 0
  while (done < bytes.length) done += writeSync(fd, bytes, done)
  if (sync) fdatasyncSync(fd)
}

/** Removes what a failed write left behind the last good line. Throws what the system says. */
export const cutBack = (file: AppendFile, length: number): void => {
  // Never the other way: a file that somebody else has cut would be filled up with NULs.
  if (file.isRegular && sizeOf(file) > length) ftruncateSync(file.fd, length)
}

/** Somebody else's doing, null when there is none. */
export type Disturbance =
  | { readonly kind: 'replaced' }
  /** Lines were added, or all or some were cut off; `size` is what it has now. */
  | { readonly kind: 'resized'; readonly size: number }

/** Compares the file with what this process made of it, `length` bytes. */
export const disturbance = (file: AppendFile, path: string, length: number): Disturbance | null => {
  if (!file.isRegular) return null
  const named = statSync(path, { throwIfNoEntry: false })
  if (named?.ino !== file.inode || named.dev !== file.device) return { kind: 'replaced' }
  return named.size === length ? null : { kind: 'resized', size: named.size }
}
