import { isUtf8 } from 'node:buffer'
import type { DetailedError } from '@cedar-policy/cedar-wasm/nodejs'
import type { Finding } from '../../../core/problem.ts'

export type Report = (finding: Finding) => void

/** A file of an engine, as it was read. */
export interface SourceFile {
  readonly path: string
  readonly content: Buffer
}

/** A text that Cedar is given, and where it is from. */
export interface Piece {
  readonly file: string
  /** The text of the whole file. */
  readonly whole: string
  /** Where the piece starts in the whole, in UTF-16 units. */
  readonly start: number
  readonly text: string
}

export const wholePiece = (file: string, whole: string): Piece => ({ file, whole, start: 0, text: whole })

/** What and how bad a finding is, apart from its place and message. */
export interface FindingKind {
  readonly rule: string
  readonly severity: Finding['severity']
}

/** A finding at an offset (UTF-16 units) of a file's text; columns count code points. */
export const findingAt = (
  { file, whole }: Pick<Piece, 'file' | 'whole'>,
  offset: number,
  kind: FindingKind,
  message: string,
): Finding => {
  const starts = lineStartsOf(whole)
  const line = lineAt(starts, offset)
  const lineStart = starts[line - 1] ?? 0
  return {
    ...kind,
    file,
    line,
    column: [...whole.slice(lineStart, offset)].length + 1,
    message,
  }
}

// Of the last text: thousands of findings are mostly of one file, and each would look through all of it.
let latest: { readonly whole: string; readonly starts: readonly number[] } = { whole: '', starts: [0] }

const lineStartsOf = (whole: string): readonly number[] => {
  if (latest.whole === whole) return latest.starts
  const starts = [0]
  for (let at = whole.indexOf('\n'); at !== -1; at = whole.indexOf('\n', at + 1)) starts.push(at + 1)
  latest = { whole, starts }
  return starts
}

/** The number of the last line that starts at the offset or before. */
const lineAt = (starts: readonly number[], offset: number): number => {
  let low = 0
  let high = starts.length
  while (high - low > 1) {
    const middle = (low + high) >> 1
    if ((starts[middle] ?? 0) <= offset) low = middle
    else high = middle
  }
  return low + 1
}

const MAX_MESSAGE = 500

/** The text on one line, and not endless. */
export const oneLine = (text: string): string => {
  const flat = text.replace(/\s+/g, ' ').trim()
  return flat.length > MAX_MESSAGE ? `${flat.slice(0, MAX_MESSAGE)}…` : flat
}

/** What Cedar found wrong in a piece, one finding an error, each at its place in the file. */
export const cedarFindings = (
  errors: readonly DetailedError[],
  piece: Piece,
  kind: FindingKind,
): readonly Finding[] =>
  errors.flatMap((error) => [
    cedarFinding(error, piece, kind),
    ...cedarFindings(error.related ?? [], piece, kind),
  ])

const cedarFinding = (error: DetailedError, piece: Piece, kind: FindingKind): Finding => {
  const [place] = error.sourceLocations ?? []
  const more = [place?.label, error.help].filter((text) => typeof text === 'string' && text !== '')
  const offset = piece.start + unitsOfBytes(piece.text, place?.start ?? 0)
  return findingAt(piece, offset, kind, oneLine([error.message, ...more].join('; ')))
}

// Cedar counts the bytes of UTF-8.
const unitsOfBytes = (text: string, bytes: number): number =>
  Buffer.from(text, 'utf8').subarray(0, bytes).toString('utf8').length

/** The text of a file without its byte order mark. */
export const textOf = ({ content }: Pick<SourceFile, 'content'>): string => {
  const text = content.toString('utf8')
  return text.startsWith('\ufeff') ? text.slice(1) : text
}

/** The same; null after a file that is not UTF-8 was reported. */
export const decodeSource = (source: SourceFile, rule: string, report: Report): string | null => {
  if (isUtf8(source.content)) return textOf(source)
  const { path, content } = source
  const text = content.toString('utf8')
  const valid = Buffer.from(text, 'utf8')
  let bytes = 0
  while (bytes < content.length && content[bytes] === valid[bytes]) bytes += 1
  const offset = content.subarray(0, bytes).toString('utf8').length
  report(
    findingAt(
      { file: path, whole: text },
      offset,
      { rule, severity: 'error' },
      'found a byte that is not UTF-8',
    ),
  )
  return null
}
