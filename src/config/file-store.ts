import { createHash } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'

const MAX_FILE_BYTES = 256 * 1024 * 1024
const MAX_DIRECTORIES_DEEP = 32

const REASONS: ReadonlyMap<string, string> = new Map([
  ['EACCES', 'permission denied'],
  ['ELOOP', 'too many symbolic links'],
  ['ENAMETOOLONG', 'the name is too long'],
  ['ENOENT', 'no such file'],
  ['ENOTDIR', 'no such file'],
  ['EPERM', 'permission denied'],
])

const reasonOf = (error: unknown): string => {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return REASONS.get(code) ?? (code || 'it cannot be read')
}

/** The files of one configuration, each read once. */
export interface FileStore {
  /** A file's content, or why it cannot be read. */
  readonly read: (path: string) => Buffer | string
  /** Like `read`, for a file whose content is a secret: it is not part of the version. */
  readonly readSecret: (path: string) => Buffer | string
  /** Like `read`, for a file that decides nothing, such as tests: it is not part of the version either. */
  readonly readAside: (path: string) => Buffer | string
  /** Files that match an absolute pattern, sorted; `*` and `**` stand for names that do not start with a dot. */
  readonly glob: (pattern: string) => readonly string[]
  /** Every file that was asked for, sorted; also those that could not be read. */
  readonly files: () => readonly string[]
  /** Directories whose entries decided what a pattern matches, sorted. */
  readonly directories: () => readonly string[]
  /** What each pattern matched. */
  readonly globs: () => ReadonlyMap<string, readonly string[]>
  /** `sha256:` over names, relative to the first file's directory, and contents, but for secrets. */
  readonly version: () => string
}

/** A file's content, or why it cannot be read; never waits for another process. */
export const readRegularFile = (path: string): Buffer | string => {
  try {
    const stat = statSync(path)
    if (stat.isDirectory()) return 'it is a directory'
    // Reading a device or a pipe could wait for ever.
    if (!stat.isFile()) return 'it is not a regular file'
    if (stat.size > MAX_FILE_BYTES) return `it has more than ${MAX_FILE_BYTES} bytes`
    return readFileSync(path)
  } catch (error) {
    return reasonOf(error)
  }
}

const segmentPattern = (segment: string): RegExp => {
  const source = segment
    .split('*')
    .map((literal) => literal.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
    .join('[^/]*')
  return new RegExp(`^(?!\\.)${source}$`, 'u')
}

const entriesOf = (directory: string): readonly string[] => {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}

type Kind = 'file' | 'directory' | 'other'

const kindOf = (path: string, follow: 'follow' | 'stay'): Kind => {
  try {
    const stat = follow === 'follow' ? statSync(path) : lstatSync(path)
    if (stat.isFile()) return 'file'
    return stat.isDirectory() ? 'directory' : 'other'
  } catch {
    return 'other'
  }
}

/** What a pattern was looked for in, and what it matched. */
interface Search {
  readonly found: Set<string>
  readonly visited: Set<string>
}

const expand = (directory: string, segments: readonly string[], depth: number, search: Search): void => {
  const [segment, ...rest] = segments
  if (segment === undefined) return
  const enter = (path: string): void => {
    const kind = kindOf(path, 'follow')
    if (rest.length === 0 && kind === 'file') search.found.add(path)
    else if (rest.length > 0 && kind === 'directory') expand(path, rest, depth, search)
    // It may come to be there.
    else search.visited.add(directory)
  }
  if (segment === '**') {
    expand(directory, rest.length === 0 ? ['*'] : rest, depth, search)
    if (depth >= MAX_DIRECTORIES_DEEP) return
    search.visited.add(directory)
    for (const name of entriesOf(directory)) {
      const path = join(directory, name)
      // Links are not followed here: one could lead back up.
      if (!name.startsWith('.') && kindOf(path, 'stay') === 'directory')
        expand(path, segments, depth + 1, search)
    }
  } else if (segment.includes('*')) {
    const pattern = segmentPattern(segment)
    search.visited.add(directory)
    for (const name of entriesOf(directory)) if (pattern.test(name)) enter(join(directory, name))
  } else enter(join(directory, segment))
}

/**
 * Files that match an absolute pattern, sorted.
 *
 * @param visited gets the directories whose entries made the difference.
 */
export const expandGlob = (pattern: string, visited: Set<string>): readonly string[] => {
  const found = new Set<string>()
  expand(sep, pattern.split(sep).filter(Boolean), 0, { found, visited })
  return [...found].sort()
}

const lengthPrefixed = (content: Buffer): Buffer => {
  const length = Buffer.alloc(8)
  length.writeBigUInt64BE(BigInt(content.length))
  return Buffer.concat([length, content])
}

/**
 * @param first   the gateway's file, absolute; other names in the version are relative to its directory.
 * @param instead what files hold in place of what is on the disk, by their absolute paths: a draft.
 */
export const createFileStore = (
  first: string,
  instead: ReadonlyMap<string, string> = new Map(),
): FileStore => {
  const contents = new Map<string, Buffer | string>()
  /** What is no part of the version. */
  const aside = new Set<string>()
  const globs = new Map<string, readonly string[]>()
  const visited = new Set<string>()
  const read = (path: string): Buffer | string => {
    const known = contents.get(path)
    if (known !== undefined) return known
    const given = instead.get(path)
    const content = given === undefined ? readRegularFile(path) : Buffer.from(given)
    contents.set(path, content)
    return content
  }
  const readAside = (path: string): Buffer | string => {
    aside.add(path)
    return read(path)
  }
  const files = (): readonly string[] => [...contents.keys()].sort()
  return {
    read,
    readSecret: readAside,
    readAside,
    glob: (pattern) => {
      const matched = globs.get(pattern) ?? expandGlob(pattern, visited)
      globs.set(pattern, matched)
      return matched
    },
    files,
    directories: () => [...visited].sort(),
    globs: () => globs,
    version: () => {
      const hash = createHash('sha256')
      for (const path of files()) {
        const content = contents.get(path)
        // A digest of a weak secret, in every record, could be guessed.
        if (aside.has(path) || !Buffer.isBuffer(content)) continue
        const name = relative(dirname(first), path).split(sep).join('/')
        hash.update(lengthPrefixed(Buffer.from(name))).update(lengthPrefixed(content))
      }
      return `sha256:${hash.digest('hex')}`
    },
  }
}
