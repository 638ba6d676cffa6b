import { setTimeout as pause } from 'node:timers/promises'
import type { CommandIo } from './io.ts'

const LOOK_EVERY_MS = 300

/**
 * Runs again and again: whenever something that the last run read has changed, until the command is to stop.
 *
 * @returns the exit code of the last run.
 */
export const watchAgain = async (
  run: () => Promise<{ readonly exitCode: number; readonly isCurrent: () => boolean }>,
  io: Pick<CommandIo, 'stopRequested' | 'err'>,
): Promise<number> => {
  const stop = new AbortController()
  io.stopRequested().then(() => stop.abort())
  let last = await run()
  io.err('watching for changes\n')
  while (!stop.signal.aborted) {
    await pause(LOOK_EVERY_MS, undefined, { signal: stop.signal }).catch(() => undefined)
    if (stop.signal.aborted || last.isCurrent()) continue
    last = await run()
  }
  return last.exitCode
}
