import { writeSync } from 'node:fs'
import { z } from 'zod'
import { errorCode } from '../error-code.ts'
import { defineSink } from './define-sink.ts'
import type { BareSink, SinkFailure } from './sink.ts'

/** The `stdout` sink: one record a line on standard output, for whatever collects that. */
export const stdout = defineSink({
  type: 'stdout',
  config: () =>
    z.strictObject({
      type: z.literal('stdout').describe('Writes each record to standard output, one a line'),
    }),
  prepare: (name) => () => createStdoutSink(name, standardOutput()),
})

/** Makes it one that does not block: a reader that is stuck must not hold up the whole gateway. */
const standardOutput = (): number =>
  // Node does that with a pipe when its stream is first asked for.
  process.stdout.fd

/** How long a reader that does not keep up is waited for; every request waits meanwhile. */
const PATIENCE_MS = 250
const STEP_MS = 5
const NO_READER = 'nobody reads standard output'

/**
 * Writes lines to an open file, which may be a pipe that does not block.
 *
 * A line longer than what a pipe takes at once can be cut when its reader stops; it then counts as not written, and
 * the next one begins on a line of its own.
 */
export const createStdoutSink = (name: string, fd: number): BareSink => {
  let torn = false
  let stuck = false

  const write = (line: string): true | SinkFailure => {
    const bytes = Buffer.from(`${torn ? '\n' : ''}${line}\n`)
    // Who has waited in vain once does not wait again, before there is a reader.
    const { done, failed } = writeAll(fd, bytes, stuck ? 0 : PATIENCE_MS)
    stuck = failed === NO_READER
    if (failed === null) torn = false
    else if (done > 0) torn = !(torn && done === 1)
    return failed === null ? true : { failed }
  }

  return { name, write, close: () => undefined }
}

const writeAll = (
  fd: number,
  bytes: Buffer,
  patienceMs: number,
): { readonly done: number; readonly failed: string | null } => {
  let done = 0
  let waitedMs = 0
  while (done < bytes.length) {
    try {
      done += writeSync(fd, bytes, done)
    } catch (error) {
      if (errorCode(error) !== 'EAGAIN') return { done, failed: errorCode(error) }
      if (waitedMs >= patienceMs) return { done, failed: NO_READER }
      sleep(STEP_MS)
      waitedMs += STEP_MS
    }
  }
  return { done, failed: null }
}

const sleep = (ms: number): void => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}
