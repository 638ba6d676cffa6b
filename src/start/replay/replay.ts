import { realpathSync, statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import type { Finding } from '../../core/problem.ts'
import { errorCode } from '../../gateway/record/error-code.ts'
import { listParts } from '../../gateway/record/sinks/log-parts.ts'
import type { StartOptions } from '../options.ts'
import { readBatches } from './read-batches.ts'
import type { BatchResult } from './replay-batch.ts'
import { createTallying, type Tally } from './tally.ts'
import { inThreads } from './threads.ts'
import { OUTCOMES, type Outcome } from './verdict.ts'

export interface ReplayOptions extends StartOptions {
  /** Decision logs; of each also the parts that it was rotated to. */
  readonly logs: readonly string[]
  /** Whether the ids of all decisions are kept. */
  readonly wantsIds: boolean
  /** Default one a core. */
  readonly threads?: number
  readonly onProgress?: (bytes: number, totalBytes: number) => void
}

/** What the draft decides otherwise. */
export interface Replay extends Tally {
  readonly files: readonly string[]
  /** Of the draft. */
  readonly configVersion: string
  /** Pieces of ids, each id followed by a comma; null when they were not wanted. */
  readonly ids: Readonly<Record<Outcome, readonly string[]>> | null
}

/** A log that cannot be read, or not to its end. */
export interface UnreadableLog {
  readonly unreadable: string
  readonly code: string
}

/** Less is decided before a thread has read the draft. */
const WORTH_THREADS_BYTES = 4 * 1024 * 1024
const MAX_THREADS = 16

/** Decides recorded requests again by a draft; memory does not grow with the logs, but for the ids that are wanted. */
export const replay = async (
  options: ReplayOptions,
): Promise<Replay | UnreadableLog | { readonly findings: readonly Finding[] }> => {
  const files = filesOf(options.logs)
  if ('unreadable' in files) return files
  const { wantsIds, env } = options
  const tallying = createTallying()
  const ids = Object.fromEntries(OUTCOMES.map((outcome) => [outcome, []])) as unknown as Record<
    Outcome,
    string[]
  >
  const take = (result: BatchResult): void => {
    tallying.merge(result.tally)
    if (result.ids !== null) {
      for (const outcome of OUTCOMES) if (result.ids[outcome] !== '') ids[outcome].push(result.ids[outcome])
    }
  }
  const totalBytes = files.reduce((sum, { bytes }) => sum + bytes, 0)
  const count = Math.min(options.threads ?? availableParallelism(), MAX_THREADS)
  // What decides is large, and is loaded here only where it decides here.
  const opened =
    totalBytes < WORTH_THREADS_BYTES || count < 1
      ? await (await import('./in-this-thread.ts')).inThisThread(options, wantsIds, take)
      : await inThreads(count, { file: options.file, env: { ...env }, wantsIds }, take)
  if ('findings' in opened) return opened
  const { threads, configVersion } = opened
  let reading = ''
  let readBytes = 0
  const onBytes = (read: number): void => {
    readBytes += read
    options.onProgress?.(readBytes, totalBytes)
  }
  try {
    for (const { path } of files) {
      reading = path
      for await (const lines of readBatches(path, onBytes)) await threads.give(lines)
    }
  } catch (error) {
    const code = errorCode(error)
    if (!(error instanceof Error && ('syscall' in error || code.startsWith('Z_')))) throw error
    return { unreadable: reading, code }
  } finally {
    await threads.end()
  }
  return {
    ...tallying.result(),
    files: files.map(({ path }) => path),
    configVersion,
    ids: wantsIds ? ids : null,
  }
}

interface LogFile {
  readonly path: string
  readonly bytes: number
}

const filesOf = (logs: readonly string[]): readonly LogFile[] | UnreadableLog => {
  const found = new Map<string, LogFile>()
  for (const log of logs) {
    try {
      const real = realpathSync(log)
      const parts = listParts(real).map(({ path, isPlain }) => (isPlain ? path : `${path}.gz`))
      for (const path of [...parts, real]) found.set(path, { path, bytes: statSync(path).size })
    } catch (error) {
      return { unreadable: log, code: errorCode(error) }
    }
  }
  return [...found.values()]
}
