import { basename } from 'node:path'
import { z } from 'zod'
import type { Settings } from '../../../core/settings.ts'
import { type ChainEnd, digest, GENESIS, linked, readLink } from '../chain.ts'
import { type LogFileOptions, openLogFile } from './log-file.ts'
import { defineSink, type Sink } from './sink.ts'

const fileConfig = (s: Settings) =>
  z.strictObject({
    type: z.literal('file').describe('Appends each record to a file'),
    path: s
      .path()
      .describe('The file; made with its folders when missing, locked by <path>.lock for one writer'),
    chain: z
      .boolean()
      .default(true)
      .describe(
        'Each line carries the hash of the one before it, for `sallyport audit verify`, default true',
      ),
    fsync: z
      .boolean()
      .default(false)
      .describe('Wait for the disk at each record, so that a power failure loses none either, default false'),
    required: z
      .boolean()
      .default(true)
      .describe('Refuse requests whose record cannot be written, default true'),
  })

/** The `file` sink: NDJSON, written before the request moves on, optionally as a hash chain. */
export const file = defineSink({
  type: 'file',
  config: fileConfig,
  prepare: (name, config, { clock, log }) => {
    const { path, chain, fsync, required } = config
    return () => createFileSink({ name, path, chain, fsync, required, clock, log })
  },
})

export interface FileSinkOptions extends Omit<LogFileOptions, 'accept'> {
  readonly name: string
  readonly chain: boolean
  readonly required: boolean
}

/**
 * Opens a log and goes on where it ends: a torn last line is set aside, the chain is continued.
 *
 * Throws `SinkStartError` when the file cannot be opened, has another writer or is no log of this kind.
 */
export const createFileSink = (options: FileSinkOptions): Sink => {
  const { name, path, chain, required, log } = options
  const logFile = openLogFile({ ...options, accept: chain ? mustBeChained : mustNotBeChained })
  let end = chainEnd(path, logFile.lastLine)
  let failing = false

  const write: Sink['write'] = (line, record) => {
    const seq = end.seq + 1
    const bytes = Buffer.from(`${chain ? linked(line, seq, end.hash) : line}\n`)
    const failed = logFile.append(bytes)
    noteFailure(failed)
    if (failed !== null) return { failed }
    if (chain) end = { file: end.file, writer: record.writer, seq, hash: digest(bytes.subarray(0, -1)) }
    return true
  }

  /** Says when it starts and when it is over, not at each of a thousand requests. */
  const noteFailure = (failed: string | null): void => {
    if (failed === null && failing) log.info({ sink: name, file: path }, 'the audit sink works again')
    if (failed !== null && !failing) log.error({ sink: name, file: path, failed }, 'the audit sink fails')
    failing = failed !== null
  }

  return {
    name,
    required,
    write,
    close: logFile.close,
    ...(chain ? { heads: () => (end.seq === 0 ? [] : [end]) } : {}),
  }
}

const mustBeChained = (lastLine: Buffer): string | null =>
  readLink(lastLine) === null
    ? "ends with a line without a chain, from before 'chain: true' or from other software: name another file"
    : null

const mustNotBeChained = (lastLine: Buffer): string | null =>
  readLink(lastLine) === null
    ? null
    : "holds a chain, which a line without one would break: say 'chain: true' or name another file"

const chainEnd = (path: string, lastLine: Buffer | null): ChainEnd => {
  const file = basename(path)
  const link = lastLine === null ? null : readLink(lastLine)
  if (lastLine === null || link === null) return { file, writer: '', seq: 0, hash: GENESIS }
  return { file, writer: link.writer, seq: link.seq, hash: digest(lastLine) }
}
