import { open } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { AskedReplay, RefusedReplay } from '../../admin/admin-deps.ts'
import type { Configuration } from '../../config/configuration.ts'
import type { JsonObject } from '../../core/json.ts'
import type { StartOptions } from '../options.ts'
import type { BatchResult } from './replay-batch.ts'
import { createTallying } from './tally.ts'
import { inThreads } from './threads.ts'
import { OUTCOMES } from './verdict.ts'

const NEWLINE = 0x0a

/**
 * Decides the end of a gateway's own log again, in a thread: requests are served meanwhile.
 *
 * A draft may only say what is in route maps, policies and other files that the configuration has read; the gateway
 * file stays, so that no draft makes the gateway ask somebody else or read other files. Credentials are not verified again.
 *
 * @param signal ends it.
 */
export const replayOwnLog = async (
  asked: AskedReplay,
  log: string | null,
  running: Configuration,
  options: StartOptions,
  signal: AbortSignal,
): Promise<JsonObject | RefusedReplay> => {
  if (log === null) return { refused: 'no sink writes a file that could be read back' }
  const instead = new Map<string, string>()
  for (const [name, content] of Object.entries(asked.files)) {
    const path = resolve(dirname(running.file), name)
    if (path === running.file) return { refused: `${name}: the gateway file cannot be another one` }
    if (!running.files.includes(path))
      return { refused: `${name}: the configuration that runs has no such file` }
    instead.set(path, content)
  }
  const { file, env } = options
  const lines = await endOf(log, asked.bytes)
  const results: BatchResult[] = []
  let configVersion: string
  try {
    const settings = { file, env: { ...env }, wantsIds: true, instead }
    const opened = await inThreads(1, settings, (each) => results.push(each), signal)
    if ('findings' in opened) return opened
    configVersion = opened.configVersion
    try {
      if (lines.length > 0) await opened.threads.give(lines)
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
    return [outcome, results.flatMap(({ ids }) => ids?.[outcome].split(',').filter(Boolean) ?? [])] as const
  })
  return {
    ...Object.fromEntries(lists),
    // Plain data, which its interface cannot say.
    ...(tallying.result() as unknown as JsonObject),
    bytes: lines.length,
    configVersion,
  }
}

/** The last whole lines of a log. */
const endOf = async (path: string, bytes: number): Promise<Buffer> => {
  const handle = await open(path, 'r')
  try {
    const { size } = await handle.stat()
    const start = Math.max(0, size - bytes)
    const buffer = Buffer.alloc(size - start)
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, start)
    const read = buffer.subarray(0, bytesRead)
    return start === 0 ? read : read.subarray(read.indexOf(NEWLINE) + 1)
  } finally {
    await handle.close()
  }
}
