import type { ChildProcess } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'

const DEADLINE_MS = 10_000

/** The state of each thread, as Linux tells it: `T` is stopped. */
const threadStates = (pid: number): readonly string[] =>
  readdirSync(`/proc/${pid}/task`).flatMap((thread) => {
    const file = `/proc/${pid}/task/${thread}/stat`
    const stat = existsSync(file) ? readFileSync(file, 'latin1') : ''
    // The name of the command, in parentheses, may hold anything.
    return stat === '' ? [] : [stat.charAt(stat.lastIndexOf(')') + 2)]
  })

/** Stops a process dead. A signal is only sent by `kill`: until every thread has got it, it may still answer. */
export const stopProcess = (child: ChildProcess): void => {
  child.kill('SIGSTOP')
  const { pid } = child
  if (pid === undefined || !existsSync(`/proc/${pid}/task`)) return
  const pause = new Int32Array(new SharedArrayBuffer(4))
  const endMs = Date.now() + DEADLINE_MS
  while (threadStates(pid).some((state) => state !== 'T')) {
    if (Date.now() > endMs) throw new Error(`the process ${pid} does not stop`)
    Atomics.wait(pause, 0, 0, 1)
  }
}
