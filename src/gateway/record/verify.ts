import type { Finding } from '../../core/problem.ts'
import { digest, readLink } from './chain.ts'
import { type ChainPart, readPart, sortIntoChains } from './chain-parts.ts'
import { anchorOf } from './chain-start.ts'
import { type ChainStart, createChainWalk, type Report } from './chain-walk.ts'
import { errorCode } from './error-code.ts'
import type { GivenHead } from './given-heads.ts'
import { type ChainEndPlace, createHeadChecks, type HeadChecks, type HeadResult } from './head-checks.ts'
import { readLog } from './read-log.ts'

/** What became of one chain. */
export interface ChainSummary {
  /** In the order of the chain. */
  readonly files: readonly string[]
  readonly records: number
  readonly firstSeq: number
  readonly lastSeq: number
  /** `sha256:<hex>` of the last record; the `prev` of the next one. */
  readonly head: string
  /** Every process that wrote to it, as far as they are not too many. */
  readonly writers: readonly string[]
  readonly intact: boolean
}

export interface Verification {
  readonly findings: readonly Finding[]
  readonly chains: readonly ChainSummary[]
  readonly heads: readonly HeadResult[]
}

/** A file that could not be read, and the system's code for that, such as `ENOENT`. */
export interface UnreadableLog {
  readonly unreadable: string
  readonly code: string
}

/** A log that is broken all over needs no complete list. */
const MAX_FINDINGS = 1_000
const MAX_WRITERS = 100

/** The ends of chains, as they were kept elsewhere. */
export interface KnownHeads {
  /** What the logs must contain. */
  readonly heads: readonly GivenHead[]
  /** What was deleted before the logs begin, each with its seq. */
  readonly from?: readonly GivenHead[]
}

/**
 * Verifies decision logs: parts of one chain, several chains, or both, in any order; also compressed ones.
 *
 * Finds every line that was changed, removed, reordered or inserted; what is missing at the end of a chain only
 * against a head that was kept elsewhere, and that of somebody who rewrote everything too. Memory does not grow
 * with the files.
 *
 * Does not check that the records say the truth, or that a chain without a head is the one that was written.
 */
export const verifyLogs = async (
  files: readonly string[],
  known: KnownHeads,
): Promise<Verification | UnreadableLog> => {
  let reading = ''
  try {
    return await verifyReadable(withoutCopies(files), known, (file) => {
      reading = file
    })
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error
    return { unreadable: reading, code: errorCode(error) }
  }
}

/** A part that is being compressed is there twice for a moment. */
const withoutCopies = (files: readonly string[]): readonly string[] => {
  const distinct = new Set(files)
  return [...distinct].filter((file) => !(file.endsWith('.gz') && distinct.has(file.slice(0, -'.gz'.length))))
}

const verifyReadable = async (
  files: readonly string[],
  { heads, from = [] }: KnownHeads,
  onFile: (file: string) => void,
): Promise<Verification> => {
  const { findings, report, count, done } = createFindings()
  const parts: ChainPart[] = []
  for (const file of files) {
    onFile(file)
    parts.push(await readPart(file))
  }
  const believed = from.filter(({ signature }) => signature !== 'invalid')
  const anchored = sortIntoChains(parts.filter((part) => isChained(part, report))).map((chain) => ({
    chain,
    anchor: anchorOf(chain, believed),
  }))
  const refused = from.filter(({ signature }) => signature === 'invalid')
  const within = anchored.flatMap(({ anchor }) => anchor?.within ?? [])
  const checks = createHeadChecks([...heads, ...within, ...refused], report)
  const chains: VerifiedChain[] = []
  for (const { chain, anchor } of anchored) {
    const before = count()
    const verified = await verifyChain(chain, anchor?.start, { report, checks, onFile })
    chains.push({ ...verified, intact: count() === before })
  }
  const results = checks.end(chains, files[0] ?? '')
  done()
  return { findings, chains: chains.map(({ lastLine, ...summary }) => summary), heads: results }
}

type VerifiedChain = ChainSummary & ChainEndPlace

const isChained = ({ file, first, isEmpty, broken }: ChainPart, report: Report): boolean => {
  // With a line that could be read it belongs to a chain, and is reported there.
  if (first === null && broken !== null) {
    report({ file, number: 1 }, 'error', 'damaged', damage(broken))
  } else if (first === null && !isEmpty) {
    report(
      { file, number: 1 },
      'error',
      'no-chain',
      "these lines carry no chain (the sink's 'chain: true'): nothing can be verified",
    )
  }
  return first !== null
}

interface Verifying {
  readonly report: Report
  readonly checks: HeadChecks
  readonly onFile: (file: string) => void
}

const verifyChain = async (
  parts: readonly ChainPart[],
  start: ChainStart | undefined,
  { report, checks, onFile }: Verifying,
): Promise<Omit<VerifiedChain, 'intact'>> => {
  const walk = createChainWalk(report, checks.witness, start)
  const writers = new Set<string>()
  let index = 0
  let records = 0
  let lastLine = { file: parts[0]?.file ?? '', number: 1 }
  for (const { file } of parts) {
    onFile(file)
    const broken = await readLog(file, ({ bytes, number, complete }) => {
      if (!complete) {
        report(
          { file, number },
          'warning',
          'torn',
          'this line has no end: writing it was interrupted, or the file was cut',
        )
        return true
      }
      const link = bytes === null ? null : readLink(bytes)
      const line = { file, number, index, link, hash: bytes === null ? '' : digest(bytes) }
      index += 1
      lastLine = line
      if (link !== null) {
        records += 1
        if (writers.size < MAX_WRITERS) writers.add(link.writer)
      }
      checks.see(line)
      walk.take(line)
      return true
    })
    if (broken !== null) report({ file, number: 1 }, 'error', 'damaged', damage(broken))
  }
  const { seq, hash } = walk.end()
  const files = parts.map(({ file }) => file)
  return {
    files,
    records,
    firstSeq: parts[0]?.first?.seq ?? 0,
    lastSeq: seq,
    head: hash,
    writers: [...writers],
    lastLine,
  }
}

const damage = (code: string): string =>
  `this file cannot be unpacked to its end (${code}): it was changed or cut, or writing it was interrupted`

const createFindings = () => {
  const findings: Finding[] = []
  let reported = 0
  const report: Report = ({ file, number: line }, severity, rule, message) => {
    reported += 1
    if (reported <= MAX_FINDINGS) findings.push({ severity, rule, file, line, column: 1, message })
  }
  return {
    findings,
    report,
    count: () => reported,
    done: () => {
      const last = findings.at(-1)
      if (last === undefined || reported <= MAX_FINDINGS) return
      findings.push({
        ...last,
        rule: 'more',
        message: `and ${reported - MAX_FINDINGS} more findings like these`,
      })
    },
  }
}
