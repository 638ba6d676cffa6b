import { lstatSync, readlinkSync } from 'node:fs'
import { basename, dirname, join, sep } from 'node:path'

/** Directories to watch, each with the names in it that matter; `all`: any name does. */
export type Places = ReadonlyMap<string, ReadonlySet<string> | 'all'>

/** As many links as Linux follows; more are a loop. */
const MAX_LINKS = 40

/**
 * Where a change of some files, or of what is in some directories, can be seen.
 *
 * That is where each of them is, and each symbolic link on the way: a Kubernetes ConfigMap is changed by exchanging one
 * (`..data`), and nothing happens to the files themselves. Also the directory above, for one that is replaced as a
 * whole.
 */
export const watchedPlaces = (files: readonly string[], directories: readonly string[]): Places => {
  const places = new Map<string, Set<string> | 'all'>()
  const add = (directory: string, name: string): void => {
    const names = places.get(directory) ?? new Set()
    places.set(directory, names)
    if (names !== 'all') names.add(name)
  }
  for (const file of files) {
    for (const path of stations(file)) add(dirname(path), basename(path))
    add(dirname(dirname(file)), basename(dirname(file)))
  }
  for (const directory of directories) {
    for (const path of stations(directory)) add(dirname(path), basename(path))
    places.set(directory, 'all')
  }
  return places
}

/** The path itself and every link on the way to what it leads to, each by a path without links above it. */
const stations = (path: string): readonly string[] => {
  const found: string[] = []
  const pending = path.split(sep).filter(Boolean)
  let at: string = sep
  for (let links = 0; pending.length > 0; ) {
    const name = pending.shift() ?? ''
    const here = join(at, name)
    const target = links < MAX_LINKS ? linkTarget(here) : null
    if (target === null) {
      at = here
      continue
    }
    links += 1
    found.push(here)
    if (target.startsWith(sep)) at = sep
    pending.unshift(...target.split(sep).filter(Boolean))
  }
  return [...found, at]
}

const linkTarget = (path: string): string | null => {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : null
  } catch {
    // What is not there is no link.
    return null
  }
}
