import { dirname, relative } from 'node:path'
import type { Part } from './parse-part.ts'

/** `line 3`, or `other.yaml:3` when it is in another file than the one that the message is for. */
export const placeOf = ({ source, path }: Pick<Part, 'source' | 'path'>, from: string): string => {
  const { line } = source.locate({ path })
  return source.file === from ? `line ${line}` : `${relative(dirname(from), source.file)}:${line}`
}
