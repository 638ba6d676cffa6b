import { basename } from 'node:path'
import { z } from 'zod'
import type { Settings } from '../../../core/settings.ts'
import { type ChainEnd, digest, GENESIS, linkEnd, readLink } from '../chain.ts'
import { canonicalPath, isRegularFile } from './append-file.ts'
import { defineSink } from './define-sink.ts'
import { lastLineOfParts } from './last-part.ts'
import { createLineEncoder } from './line-encoder.ts'
import { type LogFile, type LogFileOptions, openLogFile } from './log-file.ts'
import { createRotation, type Rotation } from './rotation.ts'
import { type RotationConfig, rotationConfig } from './rotation-config.ts'
import type { BareSink, Batch, SinkFailure, WhenWritten } from './sink.ts'
import { pathOfWriter } from './writer-path.ts'

const fileConfig = (s: Settings) =>
  z.strictObject({
    type: z.literal('file').describe('Appends each record to a file'),
    path: s
      .path()
      .describe(
        'The file; made with its folders when missing, locked by <path>.lock for one writer. Of several workers, worker n writes decisions.<n>.ndjson in place of decisions.ndjson',
      ),
    chain: z
      .boolean()
      .default(true)
      .describe(
        'Each line carries the hash of the one before it, for `sallyport audit verify`, default true',
      ),
    fsync: z
      .boolean()
      .default(false)
      .describe(
        'Wait for the disk before a request is sent on or answered, so that a power failure loses no record either, default false',
      ),
    rotate: rotationConfig(s)
      .optional()
      .describe('Goes on in a new file now and then; the chain runs through all of them. Default: one file'),
  })

/** The `file` sink: NDJSON, written before the request is sent on or answered, optionally as a hash chain. */
export const file = defineSink({
  type: 'file',
  config: fileConfig,
  prepare: (name, config, { clock, log, worker = null, workers = 1 }) => {
    const { chain, fsync, rotate } = config
    const path = pathOfWriter(config.path, worker)
    const filesOfWorkers =
      worker === null
        ? {}
        : { filesOfWorkers: Array.from({ length: workers }, (_, index) => pathOfWriter(config.path, index)) }
    const open = () => ({
      ...createFileSink({ name, path, chain, fsync, ...(rotate && { rotate }), clock, log }),
      ...filesOfWorkers,
    })
    return Object.assign(open, { log: config.path })
  },
})

export interface FileSinkOptions extends Omit<LogFileOptions, 'accept'> {
  readonly name: string
  readonly chain: boolean
  readonly rotate?: RotationConfig
}

/**
 * Opens a log and goes on where it ends: a torn last line is set aside, the chain is continued.
 *
 * Throws `SinkStartError` when the file cannot be opened, has another writer or is no log of this kind.
 */
export const createFileSink = (options: FileSinkOptions): BareSink => {
  const { name, chain, log } = options
  const file = openLogFile({ ...options, accept: chain ? mustBeChained : mustNotBeChained })
  const { end: found, rotation } = closingOnError(file, () => goOn(file, options))
  // What is held together is in one file.
  const encoder = createLineEncoder(options.rotate?.size)
  /** Of what is in the file, and of what is held, too. */
  let end = found
  let heldEnd = found
  let held: WhenWritten[] = []
  let lastLength = 0
  let isDue = false

  const commit = (): void => {
    if (held.length === 0) return
    const failed = withoutEnd(appendHeld, 'internal error')
    if (failed === null) {
      encoder.keep()
      end = heldEnd
    } else {
      encoder.drop()
      heldEnd = end
    }
    const told = held
    held = []
    const result = failed === null ? true : { failed }
    for (const whenWritten of told) withoutEnd(() => whenWritten(result), undefined)
    if (failed === null) rotation?.after()
  }

  const appendHeld = (): string | null => {
    const bytes = encoder.bytes()
    rotation?.before(bytes.length, end)
    return file.append(bytes, lastLength)
  }

  /** A bug here is of no one request, and must end neither the others nor the process. */
  const withoutEnd = <T>(step: () => T, otherwise: T): T => {
    try {
      return step()
    } catch (bug) {
      log.error({ sink: name, stack: bug instanceof Error ? bug.stack : String(bug) }, 'internal error')
      return otherwise
    }
  }

  const commitAtEndOfTurn = (): void => {
    if (isDue) return
    isDue = true
    setImmediate(() => {
      isDue = false
      commit()
    })
  }

  const add: Batch['hold'] = (line, record, whenWritten) => {
    const bytes = encoder.add(line, chain ? `${linkEnd(heldEnd.seq + 1, heldEnd.hash)}\n` : '}\n')
    if (bytes === null) {
      commit()
      return add(line, record, whenWritten)
    }
    held.push(whenWritten)
    lastLength = bytes.length
    if (chain)
      heldEnd = {
        file: end.file,
        writer: record.writer,
        seq: heldEnd.seq + 1,
        hash: digest(bytes.subarray(0, -1)),
      }
  }

  return {
    name,
    file: options.path,
    write: (line, record) => {
      const written: { result: true | SinkFailure } = { result: { failed: 'it was not written' } }
      add(line, record, (result) => {
        written.result = result
      })
      commit()
      return written.result
    },
    batch: {
      hold: (line, record, whenWritten) => {
        add(line, record, whenWritten)
        commitAtEndOfTurn()
      },
      commit,
    },
    close: () => {
      commit()
      rotation?.close()
      file.close()
    },
    ...(chain ? { heads: () => (end.seq === 0 ? [] : [end]) } : {}),
  }
}

/** What is to follow the last record, which may stand in the last part when the log itself is empty. */
const goOn = (
  file: LogFile,
  options: FileSinkOptions,
): { readonly end: ChainEnd; readonly rotation: Rotation | null } => {
  const { path, chain, rotate } = options
  if (!isRegularFile(path)) return { end: chainEnd(path, file.lastLine), rotation: null }
  const realPath = canonicalPath(path)
  const lastLine = chain ? (file.lastLine ?? lastLineOfParts(realPath)) : null
  const rotation =
    rotate === undefined ? null : createRotation({ ...options, config: rotate, path: realPath, file })
  return { end: chainEnd(path, lastLine), rotation }
}

const closingOnError = <T>(file: LogFile, step: () => T): T => {
  try {
    return step()
  } catch (error) {
    file.close()
    throw error
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
