import type { Finding } from '../../core/problem.ts'
import { GENESIS, type Link } from './chain.ts'

/** One line of a log under verification. */
export interface ChainLine {
  readonly file: string
  /** In its file, from 1. */
  readonly number: number
  /** In its chain, over all files, from 0. */
  readonly index: number
  /** Null when it does not end as a line of a chain does. */
  readonly link: Link | null
  readonly hash: string
}

export type Report = (
  at: Pick<ChainLine, 'file' | 'number'>,
  severity: Finding['severity'],
  rule: string,
  message: string,
) => void

/** What is known of a line from elsewhere, such as a head that was given. */
export type Witness = (line: ChainLine) => 'confirms' | 'denies' | 'unknown'

export interface ChainWalk {
  readonly take: (line: ChainLine) => void
  /** Reports what only the end can tell, and returns the last record in its place. */
  readonly end: () => { readonly seq: number; readonly hash: string }
}

/** What the first line must follow; by default nothing, which has seq 0 and the hash of nothing. */
export interface ChainStart {
  readonly seq: number
  readonly hash: string
}

/** The record that the next one must follow. */
interface Cursor extends ChainStart {
  /** Null before the first line. */
  readonly line: ChainLine | null
  blamed: boolean
}

interface Gap {
  readonly from: number
  readonly to: number
  /** The line that stands where the missing ones should. */
  readonly at: ChainLine
}

/** So many oddities are put in relation with each other; a file with more is not the log of this chain. */
const MAX_KEPT = 10_000

/**
 * Follows one chain line by line and says what happened to it, in memory that does not grow with it.
 *
 * A line is believed to be unchanged when the line after it says so. One that does not fit is kept until
 * it is known whether lines before it are missing, or whether it is itself in the wrong place.
 */
export const createChainWalk = (
  report: Report,
  witness: Witness,
  start: ChainStart = { seq: 0, hash: GENESIS },
): ChainWalk => {
  let cursor: Cursor = { ...start, line: null, blamed: false }
  /** The line before the cursor, when the cursor names another hash for it: one of the two was changed. */
  let suspect: Cursor | null = null
  /** A line further on than expected, and how many illegible lines came after it. */
  let pending: { readonly line: ChainLine; readonly link: Link; skipped: number } | null = null
  const strays: ChainLine[] = []
  const gaps: Gap[] = []

  const take = (line: ChainLine): void => {
    const { link } = line
    if (link === null) {
      if (pending !== null) pending.skipped += 1
      keepStray(line)
      return
    }
    if (pending !== null) settlePending(link)
    if (link.seq === cursor.seq + 1 || link.prev === cursor.hash) follow(line, link)
    else if (link.seq <= cursor.seq) keepStray(line)
    else pending = { line, link, skipped: 0 }
  }

  const settlePending = (next: Link | null): void => {
    if (pending === null) return
    const { line, link, skipped } = pending
    pending = null
    const goesOn = next === null || next.prev === line.hash || next.seq === link.seq + 1 + skipped
    const fitsHere = next !== null && next.seq === cursor.seq + 1
    if (goesOn && !fitsHere) jump(line, link)
    else keepStray(line)
  }

  const follow = (line: ChainLine, link: Link): void => {
    const before = cursor
    cursor = { seq: before.seq + 1, hash: line.hash, line, blamed: false }
    if (link.prev === before.hash) {
      if (suspect !== null) blame(suspect, 'its hash is not the one that the line after it holds')
      suspect = null
      if (link.seq !== cursor.seq) blame(cursor, `it says seq ${link.seq} where ${cursor.seq} belongs`)
    } else if (before.line === null) {
      blame(
        cursor,
        start.seq === 0
          ? 'the first record of a chain must follow nothing'
          : 'it does not follow the head given',
      )
    } else {
      if (suspect !== null) {
        blame(before, 'neither neighbour fits it')
        doubt(suspect)
      }
      suspect = before
    }
  }

  const jump = (line: ChainLine, link: Link): void => {
    settleSuspect()
    if (gaps.length < MAX_KEPT) gaps.push({ from: cursor.seq + 1, to: link.seq - 1, at: line })
    cursor = { seq: link.seq, hash: line.hash, line, blamed: false }
  }

  const settleSuspect = (): void => {
    if (suspect === null || cursor.line === null) return
    const said = witness(cursor.line)
    if (said === 'confirms') blame(suspect, 'its hash is not the one that the line after it holds')
    else if (said === 'denies') doubt(suspect)
    else blame(suspect, 'its hash is not the one that the line after it holds; or that line was')
    suspect = null
  }

  const blame = (who: Cursor, why: string): void => {
    if (who.line !== null && !who.blamed)
      report(who.line, 'error', 'changed', `this line was changed: ${why}`)
    who.blamed = true
  }

  const doubt = (who: Cursor): void => {
    if (who.line === null || who.blamed) return
    report(
      who.line,
      'warning',
      'unconfirmed',
      'this line may have been changed: the line after it, which holds its hash, was',
    )
    who.blamed = true
  }

  const keepStray = (line: ChainLine): void => {
    if (strays.length < MAX_KEPT) strays.push(line)
    else report(line, 'error', 'inserted', 'this line is not a record of this chain in its place')
  }

  return {
    take,
    end: () => {
      settlePending(null)
      settleSuspect()
      explain(report, cursor.seq, gaps, strays)
      return { seq: cursor.seq, hash: cursor.hash }
    },
  }
}

/** Puts the lines that did not fit in relation with the places where one was missing. */
const explain = (
  report: Report,
  lastSeq: number,
  gaps: readonly Gap[],
  strays: readonly ChainLine[],
): void => {
  const unplaced = new Map(strays.map((line) => [line.index, line]))
  for (const gap of gaps) {
    const moved = new Set<number>()
    for (const line of strays) {
      const seq = line.link?.seq
      if (seq === undefined || seq < gap.from || seq > gap.to || moved.has(seq)) continue
      moved.add(seq)
      unplaced.delete(line.index)
      report(
        line,
        'error',
        'reordered',
        `this line is out of order: seq ${seq} belongs between ${seq - 1} and ${seq + 1}`,
      )
    }
    const missing = gap.to - gap.from + 1 - moved.size
    const changed = missing === 0 ? 0 : changedBefore(gap, missing, unplaced, report)
    if (missing > changed) report(gap.at, 'error', 'removed', removal(gap, missing - changed))
  }
  for (const line of unplaced.values()) report(line, 'error', ...strayed(line, lastSeq))
}

/** Illegible lines that stand exactly where records are missing are those records. */
const changedBefore = (
  gap: Gap,
  missing: number,
  unplaced: Map<number, ChainLine>,
  report: Report,
): number => {
  let changed = 0
  for (let index = gap.at.index - 1; changed < missing; index -= 1) {
    const line = unplaced.get(index)
    if (line === undefined) break
    unplaced.delete(index)
    report(
      line,
      'error',
      'changed',
      `this line was changed: it is not the record with ${seqs(gap.from, gap.to)} that belongs here`,
    )
    changed += 1
  }
  return changed
}

const removal = ({ from, to }: Gap, missing: number): string => {
  const records = missing === 1 ? '1 record was' : `${missing} records were`
  return `${records} removed before this line: ${seqs(from, to)}`
}

const seqs = (from: number, to: number): string => (from === to ? `seq ${from}` : `seq ${from} to ${to}`)

const strayed = (line: ChainLine, lastSeq: number): [rule: string, message: string] => {
  const seq = line.link?.seq
  if (seq === undefined)
    return ['inserted', 'this line is no record of this chain: it was inserted or changed']
  if (seq > lastSeq) return ['reordered', `this line is out of order: seq ${seq} stands before lower ones`]
  return ['inserted', `this line was inserted: seq ${seq} is there already`]
}
