import { closeSync, fstatSync, openSync } from 'node:fs'
import { digest, GENESIS, type Link, readLink } from './chain.ts'
import { MAX_LINE_BYTES, newlineBefore, readBytes } from './read-bytes.ts'
import { readLines } from './read-lines.ts'
import { isCompressed, readLog } from './read-log.ts'

/** One file of a chain. */
export interface ChainPart {
  readonly file: string
  /** Of the first legible line; null in a file without one. */
  readonly first: Link | null
  /** Of the last legible line. */
  readonly last: { readonly seq: number; readonly hash: string } | null
  readonly isEmpty: boolean
  /** zlib's code when it could not be unpacked to its end. */
  readonly broken: string | null
}

/** How many illegible lines are passed over at either end of a file. */
const MAX_SKIPPED = 64

/** Looks at both ends of a file, for which a compressed one is read as a whole. Throws what the system says. */
export const readPart = async (file: string): Promise<ChainPart> => {
  if (isCompressed(file)) return readCompressedPart(file)
  const fd = openSync(file, 'r')
  try {
    const { size } = fstatSync(fd)
    return { file, first: firstLink(fd), last: lastLink(fd, size), isEmpty: size === 0, broken: null }
  } finally {
    closeSync(fd)
  }
}

const readCompressedPart = async (file: string): Promise<ChainPart> => {
  let first: Link | null = null
  let last: ChainPart['last'] = null
  let isEmpty = true
  const broken = await readLog(file, ({ bytes, number, complete }) => {
    isEmpty = false
    const link = bytes === null || !complete ? null : readLink(bytes)
    if (bytes === null || link === null) return true
    if (number <= MAX_SKIPPED) first ??= link
    last = { seq: link.seq, hash: digest(bytes) }
    return true
  })
  return { file, first, last, isEmpty, broken }
}

const firstLink = (fd: number): Link | null => {
  let first: Link | null = null
  readLines(fd, ({ bytes, number }) => {
    first = bytes === null ? null : readLink(bytes)
    return first === null && number < MAX_SKIPPED
  })
  return first
}

const lastLink = (fd: number, size: number): ChainPart['last'] => {
  let end = newlineBefore(fd, size)
  for (let skipped = 0; end > 0 && skipped < MAX_SKIPPED; skipped += 1) {
    const start = newlineBefore(fd, end) + 1
    const line = end - start > MAX_LINE_BYTES ? null : readBytes(fd, start, end)
    const link = line === null ? null : readLink(line)
    if (line !== null && link !== null) return { seq: link.seq, hash: digest(line) }
    end = start - 1
  }
  return null
}

/**
 * Sorts files into chains: each follows the one whose last hash it names, or else, where an end was
 * altered, the one of the same writer that ends closest before it. Several chains begin each by itself.
 */
export const sortIntoChains = (parts: readonly ChainPart[]): readonly (readonly ChainPart[])[] => {
  const chains: ChainPart[][] = []
  const bySeq = [...parts].sort((left, right) => (left.first?.seq ?? 0) - (right.first?.seq ?? 0))
  for (const part of bySeq) {
    const chain = chainBefore(part, chains)
    if (chain === undefined) chains.push([part])
    else chain.push(part)
  }
  return chains
}

const chainBefore = ({ first }: ChainPart, chains: readonly ChainPart[][]): ChainPart[] | undefined => {
  if (first === null || (first.seq === 1 && first.prev === GENESIS)) return undefined
  const exact = chains.find((chain) => chain.at(-1)?.last?.hash === first.prev)
  if (exact !== undefined) return exact
  const seqAtEnd = (chain: readonly ChainPart[]): number => chain.at(-1)?.last?.seq ?? 0
  return chains
    .filter((chain) => seqAtEnd(chain) < first.seq && chain.at(-1)?.first?.writer === first.writer)
    .sort((left, right) => seqAtEnd(right) - seqAtEnd(left))[0]
}
