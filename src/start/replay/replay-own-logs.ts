import { type FileHandle, open } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { AskedReplay, RefusedReplay } from '../../admin/admin-deps.ts'
import type { Configuration } from '../../config/configuration.ts'
import type { JsonObject } from '../../core/json.ts'
import { errorCode } from '../../gateway/record/error-code.ts'
import type { StartOptions } from '../options.ts'
import type { BatchResult } from './replay-batch.ts'
import { createTallying } from './tally.ts'
import { inThreads } from './threads.ts'
import { OUTCOMES } from './verdict.ts'

const NEWLINE = 0x0a

/**
 * Decides the end of a gateway's own logs again, in a thread: requests are served meanwhile.
 *
 * A draft may only say what is in route maps, policies and other files that the configuration has read; the gateway
 * file stays, so that no draft makes the gateway ask somebody else or read other files. Credentials are not verified again.
 *
 * @param logs one of each worker; one that is not there yet has no lines.
 * @param signal ends it.
 */
export const replayOwnLogs = async (
  asked: AskedReplay,
  logs: readonly string[],
  running: Configuration,
  options: StartOptions,
  signal: AbortSignal,
): Promise<JsonObject | RefusedReplay> => {
  if (logs.length === 0) return { refused: 'no sink writes a file that could be read back' }
  const instead = new Map<string, string>()
  for (const [name, content] of Object.entries(asked.files)) {
    const path = resolve(dirname(running.file), name)
    if (path === running.file) return { refused: `${name}: the gateway file cannot be another one` }
    if (!running.files.includes(path))
      return { refused: `${name}: the configuration that runs has no such file` }
    instead.set(path, content)
  }
  const { file, env } = options
  const ends = await endsOf(logs, asked.bytes)
  const results: BatchResult[] = []
  let configVersion: string
  try {
    const settings = { file, env: { ...env }, wantsIds: true, instead }
    const opened = await inThreads(1, settings, (each) => results.push(each), signal)
    if ('findings' in opened) return opened
    configVersion = opened.configVersion
    try {
      for (const lines of ends) if (lines.length > 0) await opened.threads.give(lines)
    } finally {
      await opened.threads.end()
    }
  } catch (error) {
    if (!signal.aborted) throw error
    return { refused: 'it takes too long: ask for fewer bytes of the log' }
  }
  const tallying = createTallying()
  for (const { tally } of results) tallying.merge(tally)
  const lists = OUTCOMES.map((outcome) => {
    const ids = results.flatMap((each) => each.ids?.[outcome].split(',').filter(Boolean) ?? [])
    // Ids are made in the order of time; each log is in the order of its lines.
    return [outcome, ends.length > 1 ? ids.sort() : ids] as const
  })
  return {
    ...Object.fromEntries(lists),
    // Plain data, which its interface cannot say.
    ...(tallying.result() as unknown as JsonObject),
    bytes: ends.reduce((sum, lines) => sum + lines.length, 0),
    configVersion,
  }
}

/** The last whole lines of the logs, of each the same share, or what others leave of theirs. */
const endsOf = async (logs: readonly string[], bytes: number): Promise<readonly Buffer[]> => {
  const handles: FileHandle[] = []
  try {
    for (const log of logs) {
      const handle = await openLog(log)
      if (handle !== null) handles.push(handle)
    }
    const sized = await Promise.all(
      handles.map(async (handle) => ({ handle, size: (await handle.stat()).size })),
    )
    const ends: Buffer[] = []
    let left = bytes
    for (const [index, { handle, size }] of sized.sort((one, other) => one.size - other.size).entries()) {
      const share = Math.min(size, Math.floor(left / (sized.length - index)))
      left -= share
      ends.push(await endOf(handle, size, share))
    }
    return ends
  } finally {
    await Promise.all(handles.map((handle) => handle.close()))
  }
}

/** Null when there is no such log, as of a worker that has recorded nothing yet. */
const openLog = async (log: string): Promise<FileHandle | null> => {
  try {
    return await open(log, 'r')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null
    throw error
  }
}

const endOf = async (handle: FileHandle, size: number, bytes: number): Promise<Buffer> => {
  const start = size - bytes
  const buffer = Buffer.alloc(bytes)
  const { bytesRead } = await handle.read(buffer, 0, bytes, start)
  const read = buffer.subarray(0, bytesRead)
  // Another worker may be in the middle of a line.
  const whole = read.subarray(0, read.lastIndexOf(NEWLINE) + 1)
  return start === 0 ? whole : whole.subarray(whole.indexOf(NEWLINE) + 1)
}
