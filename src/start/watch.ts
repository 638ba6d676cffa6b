import { type FSWatcher, type Stats, statSync, watch } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Log } from '../core/log.ts'
import { type Places, watchedPlaces } from './watched-places.ts'

/** What is to be watched; absolute paths. */
export interface Watched {
  readonly files: readonly string[]
  /** Any change of what is in them counts. */
  readonly directories: readonly string[]
}

export interface WatchTimes {
  /** An edit is taken up when nothing has happened for this long, default 100 ms. */
  readonly quietMs?: number
  /** Or, if it never gets quiet, after this long, default 1 s. */
  readonly patienceMs?: number
  /** How often it is looked where the system tells nothing, as on a network file system; default 5 s. */
  readonly pollMs?: number
}

export interface FileWatcher {
  /** Watches these from now on, and nothing else. Whatever happens after this call is told. */
  readonly watch: (watched: Watched) => void
  readonly close: () => void
}

/**
 * Tells when files may have changed: in place, by renaming another over them, by exchanging a link on the way.
 *
 * Listens to the directories, and compares times and sizes now and then, for what listening misses.
 *
 * @param onChange called some time after the change, once for many; may be called without one.
 */
export const createFileWatcher = (
  onChange: () => void,
  log: Log,
  { quietMs = 100, patienceMs = 1000, pollMs = 5000 }: WatchTimes = {},
): FileWatcher => {
  let watched: Watched = { files: [], directories: [] }
  let marks: Marks = new Map()
  const directories = createDirectoryWatchers(() => bell.ring(), log)
  const bell = createBell(onChange, quietMs, patienceMs)

  const look = async (): Promise<void> => {
    const before = marks
    const now = await Promise.all(
      [...before].map(async ([path, { take }]) => [path, { take, mark: await markOf(path, take) }] as const),
    )
    // Something else is watched by now, or nothing.
    if (marks !== before || now.every(([path, { mark }]) => before.get(path)?.mark === mark)) return
    marks = new Map(now)
    directories.set(watchedPlaces(watched.files, watched.directories))
    bell.ring()
  }
  let timer: NodeJS.Timeout | null = null
  const lookLater = (): void => {
    timer = setTimeout(() => {
      look().finally(() => {
        if (timer !== null) lookLater()
      })
    }, pollMs)
    timer.unref()
  }
  lookLater()

  return {
    watch: (changed) => {
      watched = changed
      const places = watchedPlaces(changed.files, changed.directories)
      directories.set(places)
      marks = new Map([
        ...[...places.keys()].map(
          (path) => [path, { take: formatInode, mark: markNow(path, formatInode) }] as const,
        ),
        ...[...changed.files, ...changed.directories].map(
          (path) => [path, { take: formatAll, mark: markNow(path, formatAll) }] as const,
        ),
      ])
    },
    close: () => {
      if (timer !== null) clearTimeout(timer)
      timer = null
      marks = new Map()
      bell.silence()
      directories.set(new Map())
    },
  }
}

type TakeMark = (found: Stats) => string
/** What each path looked like, and how that was taken. */
type Marks = ReadonlyMap<string, { readonly take: TakeMark; readonly mark: string }>

const NOT_THERE = 'not there'

const formatInode: TakeMark = ({ dev, ino }) => `${dev} ${ino}`
const formatAll: TakeMark = (found) => `${formatInode(found)} ${found.size} ${found.mtimeMs} ${found.ctimeMs}`

const markNow = (path: string, take: TakeMark): string => {
  try {
    return take(statSync(path))
  } catch {
    return NOT_THERE
  }
}

/** Blocks nobody: a network file system may be slow. */
const markOf = (path: string, take: TakeMark): Promise<string> => stat(path).then(take, () => NOT_THERE)

/** Rings when it has been pushed and then left alone, or for too long not left alone. */
const createBell = (ring: () => void, quietMs: number, patienceMs: number) => {
  let quiet: NodeJS.Timeout | null = null
  let patience: NodeJS.Timeout | null = null
  const silence = (): void => {
    if (quiet !== null) clearTimeout(quiet)
    if (patience !== null) clearTimeout(patience)
    quiet = null
    patience = null
  }
  const now = (): void => {
    silence()
    ring()
  }
  return {
    ring: (): void => {
      patience ??= setTimeout(now, patienceMs).unref()
      if (quiet === null) quiet = setTimeout(now, quietMs).unref()
      else quiet.refresh()
    },
    silence,
  }
}

interface Listening {
  readonly watcher: FSWatcher
  /** Of the directory that is listened to, which may not be the one of that name any more. */
  readonly inode: string
}

/** Listens to directories, and follows when one is replaced by another of its name. */
const createDirectoryWatchers = (onEvent: () => void, log: Log) => {
  const listening = new Map<string, Listening>()
  let places: Places = new Map()
  let toldOfFailure = false

  const listen = (directory: string, inode: string): void => {
    try {
      const watcher = watch(directory, { persistent: false }, (_event, name) => {
        const names = places.get(directory)
        if (name === null || names === 'all' || names?.has(name) === true) onEvent()
        // The directory itself has gone, or another has its name.
        else if (inodeOf(directory) !== inode) onEvent()
      })
      watcher.on('error', () => stop(directory))
      listening.set(directory, { watcher, inode })
    } catch (error) {
      if (toldOfFailure) return
      toldOfFailure = true
      const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined
      log.warn({ directory, code }, 'edits there are seen more slowly: the system does not tell of them')
    }
  }

  const stop = (directory: string): void => {
    listening.get(directory)?.watcher.close()
    listening.delete(directory)
  }

  return {
    set: (changed: Places): void => {
      places = changed
      for (const [directory, { inode }] of [...listening]) {
        if (!places.has(directory) || inodeOf(directory) !== inode) stop(directory)
      }
      for (const directory of places.keys()) {
        const inode = inodeOf(directory)
        if (inode !== NOT_THERE && !listening.has(directory)) listen(directory, inode)
      }
    },
  }
}

const inodeOf = (path: string): string => markNow(path, formatInode)
