import { extname } from 'node:path'

/**
 * Where one of several workers writes: `decisions.2.ndjson` for `decisions.ndjson`, since two writers break a chain.
 *
 * What is no file of its own, such as `/dev/stderr`, is the same for all.
 *
 * @param worker null: the only one, which writes to the path itself.
 */
export const pathOfWriter = (path: string, worker: number | null): string => {
  if (worker === null || path.startsWith('/dev/')) return path
  const extension = extname(path)
  return `${path.slice(0, path.length - extension.length)}.${worker}${extension}`
}
