import { readdirSync } from 'node:fs'
import { dirname, extname, join } from 'node:path'

/** A file that a log was rotated to. */
export interface LogPart {
  /** Absolute; without `.gz`. */
  readonly path: string
  /** Grows from part to part. */
  readonly number: number
  readonly rotatedAtMs: number
  /** Both, where compressing it was interrupted at its very end. */
  readonly isPlain: boolean
  readonly isCompressed: boolean
}

const NAME = /^\.(\d{4}-\d\d-\d\d)T(\d\d)-(\d\d)-(\d\d)Z\.(\d{1,16})$/

/** `decisions.2026-11-24T10-00-00Z.41.ndjson` for `decisions.ndjson`. */
export const partPath = (path: string, number: number, atMs: number): string => {
  const { stem, extension } = split(path)
  const time = new Date(atMs).toISOString().slice(0, 19).replaceAll(':', '-')
  return `${stem}.${time}Z.${number}${extension}`
}

/**
 * The parts of a log that are left, oldest first.
 *
 * @param path of the log itself, not of a link to it.
 */
export const listParts = (path: string): readonly LogPart[] => {
  const folder = dirname(path)
  const names = new Set(readdirSync(folder))
  const parts = new Map<string, LogPart>()
  for (const name of names) {
    const plain = join(folder, name.replace(/\.gz$/, ''))
    const found = readName(path, plain)
    if (found === null) continue
    const base = plain.slice(folder.length + 1)
    parts.set(plain, {
      ...found,
      path: plain,
      isPlain: names.has(base),
      isCompressed: names.has(`${base}.gz`),
    })
  }
  return [...parts.values()].sort((left, right) => left.number - right.number)
}

/** True for the path of an uncompressed part of this log, whether it is there or not. */
export const isPartOf = (path: string, candidate: string): boolean => readName(path, candidate) !== null

const split = (path: string): { readonly stem: string; readonly extension: string } => {
  const extension = extname(path)
  return { stem: path.slice(0, path.length - extension.length), extension }
}

const readName = (path: string, candidate: string): Pick<LogPart, 'number' | 'rotatedAtMs'> | null => {
  const { stem, extension } = split(path)
  if (!candidate.startsWith(stem) || !candidate.endsWith(extension)) return null
  const match = NAME.exec(candidate.slice(stem.length, candidate.length - extension.length))
  if (match === null) return null
  const [, day = '', hours = '', minutes = '', seconds = '', number = ''] = match
  const rotatedAtMs = Date.parse(`${day}T${hours}:${minutes}:${seconds}Z`)
  return Number.isNaN(rotatedAtMs) ? null : { number: Number(number), rotatedAtMs }
}
