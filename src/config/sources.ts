import { createHmac, randomBytes } from 'node:crypto'
import { expandGlob, type FileStore, readRegularFile } from './file-store.ts'

/** All that a load looked at, so that it can be told when some of it has changed. */
export interface Sources {
  /** Absolute; also files that could not be read. */
  readonly files: readonly string[]
  /** Directories whose entries decided what a pattern matches; absolute. */
  readonly directories: readonly string[]
  /** Of everything, secrets too. Keyed: it means nothing outside of this process. */
  readonly digest: string
  /** Looks at everything again; true when it is what it was. */
  readonly areCurrent: () => boolean
}

// A digest of a weak secret could be guessed by whoever gets to see it.
const KEY = randomBytes(32)

/** Tells contents apart within this process; secrets may be among them. */
export const processDigest = (content: string | Buffer): string =>
  createHmac('sha256', KEY).update(content).digest('base64url')

const digestOf = (content: Buffer | string): string =>
  Buffer.isBuffer(content) ? processDigest(content) : `unreadable: ${content}`

const isSame = (left: readonly string[], right: readonly string[]): boolean =>
  left.length === right.length && left.every((each, index) => each === right[index])

/** Keeps what tells the contents apart, not the contents. */
export const sourcesOf = (store: FileStore): Sources => {
  const files = new Map(store.files().map((path) => [path, digestOf(store.read(path))]))
  return createSources(files, new Map(store.globs()), store.directories())
}

const createSources = (
  files: ReadonlyMap<string, string>,
  globs: ReadonlyMap<string, readonly string[]>,
  directories: readonly string[],
): Sources => ({
  files: [...files.keys()],
  directories,
  digest: processDigest(JSON.stringify([[...files], [...globs]])),
  areCurrent: () => {
    const visited = new Set<string>()
    for (const [pattern, matched] of globs) if (!isSame(expandGlob(pattern, visited), matched)) return false
    // A new directory holds nothing yet, but has to be watched.
    if (!isSame([...visited].sort(), directories)) return false
    return [...files].every(([path, digest]) => digestOf(readRegularFile(path)) === digest)
  },
})
