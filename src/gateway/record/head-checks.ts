import { basename } from 'node:path'
import type { ChainLine, Report, Witness } from './chain-walk.ts'
import type { GivenHead } from './given-heads.ts'

/** What became of a head that was given. */
export interface HeadResult extends GivenHead {
  /** `elsewhere`: one of several heads, of a file that was not given. `refused`: its signature is not valid. */
  readonly outcome: 'matched' | 'contradicted' | 'missing' | 'elsewhere' | 'refused'
  /** Records after it, which it says nothing of; only when it matched. */
  readonly recordsAfter?: number
}

export interface HeadChecks {
  /** Compares a line with the heads of its seq. */
  readonly see: (line: ChainLine) => void
  readonly witness: Witness
  /** Reports each head that no line bears out, at the end of the chain that it should be in. */
  readonly end: (chains: readonly ChainEndPlace[], anyFile: string) => readonly HeadResult[]
}

/** A chain, and where its last line stands. */
export interface ChainEndPlace {
  readonly files: readonly string[]
  readonly lastSeq: number
  readonly writers: readonly string[]
  readonly lastLine: Pick<ChainLine, 'file' | 'number'>
}

interface Sought {
  readonly head: GivenHead
  match: ChainLine | null
  contradiction: ChainLine | null
}

export const createHeadChecks = (heads: readonly GivenHead[], report: Report): HeadChecks => {
  const sought: readonly Sought[] = heads.map((head) => ({ head, match: null, contradiction: null }))
  const valid = sought.filter(({ head }) => head.signature !== 'invalid')
  const bare = valid.filter(({ head }) => head.seq === null)
  const seqs = new Set(valid.map(({ head }) => head.seq))

  const concerned = (line: ChainLine): readonly Sought[] => {
    const seq = line.link?.seq
    return seq !== undefined && seqs.has(seq) ? valid.filter(({ head }) => (head.seq ?? seq) === seq) : bare
  }

  return {
    see: (line) => {
      for (const each of concerned(line)) {
        if (each.head.hash === line.hash) each.match = line
        else if (contradicts(each.head, line)) each.contradiction = line
      }
    },
    witness: (line) => {
      const about = concerned(line)
      if (about.some(({ head }) => head.hash === line.hash)) return 'confirms'
      return about.some(({ head }) => contradicts(head, line)) ? 'denies' : 'unknown'
    },
    end: (chains, anyFile) => {
      // The process log of several workers holds heads of files that nobody asked about; but one must be of these.
      const mayBeElsewhere = sought.some((each) => !isElsewhere(each, chains))
      return sought.map((each) =>
        mayBeElsewhere && isElsewhere(each, chains)
          ? { ...each.head, outcome: 'elsewhere' }
          : conclude(each, chains, { anyFile, report }),
      )
    },
  }
}

const isElsewhere = ({ head, match }: Sought, chains: readonly ChainEndPlace[]): boolean =>
  match === null &&
  head.file !== null &&
  !chains.some(({ files }) => files.some((file) => basename(file) === head.file))

const contradicts = ({ seq, writer, hash }: GivenHead, { link, hash: found }: ChainLine): boolean =>
  link !== null && link.seq === seq && found !== hash && (writer === null || writer === link.writer)

const conclude = (
  { head, match, contradiction }: Sought,
  chains: readonly ChainEndPlace[],
  { anyFile, report }: { readonly anyFile: string; readonly report: Report },
): HeadResult => {
  if (head.signature === 'invalid') {
    report(
      { file: anyFile, number: 1 },
      'error',
      'head-signature',
      'the head given has no valid signature by these keys',
    )
    return { ...head, outcome: 'refused' }
  }
  if (match !== null) {
    const chain = chains.find(({ files }) => files.includes(match.file))
    return { ...head, outcome: 'matched', recordsAfter: (chain?.lastSeq ?? 0) - (match.link?.seq ?? 0) }
  }
  if (contradiction !== null) {
    report(contradiction, 'error', 'head-mismatch', contradicted(head))
    return { ...head, outcome: 'contradicted' }
  }
  const chain = chainOf(head, chains)
  report(chain?.lastLine ?? { file: anyFile, number: 1 }, 'error', ...missing(head, chain?.lastSeq ?? 0))
  return { ...head, outcome: 'missing' }
}

const chainOf = ({ writer, file }: GivenHead, chains: readonly ChainEndPlace[]): ChainEndPlace | undefined =>
  chains.find(({ writers }) => writer !== null && writers.includes(writer)) ??
  chains.find(({ files }) => files.some((each) => basename(each) === file)) ??
  chains[0]

const contradicted = ({ seq }: GivenHead): string =>
  `this line was changed, or the chain was written anew up to it: the head given has another hash for seq ${seq}`

const missing = ({ seq }: GivenHead, lastSeq: number): [rule: string, message: string] => {
  if (seq === null) {
    return [
      'truncated',
      'no record has the hash of the head given: the last one was changed, or some were cut off behind it',
    ]
  }
  if (seq <= lastSeq) return ['removed', `the record of the head given, seq ${seq}, is missing`]
  const count = seq - lastSeq
  return [
    'truncated',
    `${count} ${count === 1 ? 'record is' : 'records are'} missing behind this line: the head given is of seq ${seq}`,
  ]
}
