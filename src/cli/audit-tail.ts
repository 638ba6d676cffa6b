import { type FilterTexts, readFilter } from '../admin/decisions/decision-filter.ts'
import { renderDecision } from './decision-line.ts'
import { type CommandIo, EXIT } from './io.ts'
import type { Tail } from './tail.ts'
import { tailAdmin } from './tail-admin.ts'
import { tailFiles } from './tail-files.ts'

export interface AuditTailOptions {
  /** Decision logs; empty when `admin` is given. */
  readonly files: readonly string[]
  /** URL of an admin port. */
  readonly admin?: string
  readonly filter: FilterTexts
  /** How many of the latest decisions come first. */
  readonly lines: string
  readonly follow: boolean
  readonly json: boolean
}

const MAX_LINES = 1000

/**
 * Prints decisions as they are made, from the files of decision logs or from an admin port.
 *
 * @returns 0 when it was told to stop, 2 for bad usage, or when there is nothing to read.
 */
export const auditTail = async (
  options: AuditTailOptions,
  io: Pick<CommandIo, 'out' | 'err' | 'env' | 'clock' | 'colour' | 'stopRequested'>,
): Promise<number> => {
  const fail = (mistake: string): number => {
    io.err(`sallyport audit tail: ${mistake}\n`)
    return EXIT.usage
  }
  const { files, admin, json, follow } = options
  if ((admin === undefined) === (files.length === 0)) return fail('expected files, or --admin with a URL')
  const lines = /^\d{1,4}$/.test(options.lines) ? Number(options.lines) : Number.NaN
  if (!(lines <= MAX_LINES)) return fail(`--lines: expected a whole number up to ${MAX_LINES}`)
  const read = readFilter(options.filter, io.clock.nowMs())
  if ('mistake' in read) return fail(`--${read.mistake}`)
  const stop = new AbortController()
  void io.stopRequested().then(() => stop.abort())
  const tail: Tail = {
    filter: read.filter,
    texts: options.filter,
    lines,
    follow,
    onDecision: (record) =>
      io.out(json ? `${JSON.stringify(record)}\n` : `${renderDecision(record, io.colour)}\n`),
    onNote: (text) => io.err(`sallyport audit tail: ${text}\n`),
    signal: stop.signal,
  }
  const mistake =
    admin === undefined
      ? await tailFiles(files, tail)
      : await tailAdmin(admin, io.env.SALLYPORT_ADMIN_TOKEN ?? '', tail)
  return mistake === null ? EXIT.ok : fail(mistake)
}
