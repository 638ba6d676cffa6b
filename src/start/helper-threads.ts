import { readdirSync } from 'node:fs'
import { availableParallelism, setPriority } from 'node:os'

export interface GiveWayTimes {
  /** CPU time after which what requests need often is compiled; default 20 s. */
  readonly warmMs: number
  /** Between two looks at that; default 1 s. */
  readonly lookMs: number
}

const TIMES: GiveWayTimes = { warmMs: 20_000, lookMs: 1_000 }
/** Still a tenth of the core when requests want all of it, so that nothing starves. */
const NICENESS = 10
const DEFAULT_POOL_SIZE = 4

/**
 * Lets V8's helpers, which collect garbage and compile, give way to the thread that serves, where they share one core.
 *
 * They get what requests leave of it. Until the process is warm they do not give way: code that is compiled late is
 * slow for long. Does nothing but on Linux, where a thread has a priority of its own.
 */
export const letHelpersGiveWay = ({ warmMs, lookMs } = TIMES): void => {
  if (process.platform !== 'linux' || !hasOneCore()) return
  const timer = setInterval(() => {
    const { user, system } = process.cpuUsage()
    if ((user + system) / 1000 < warmMs) return
    clearInterval(timer)
    lowerHelpers()
  }, lookMs)
  timer.unref()
}

/** As the affinity says, or who has started it: Node does not see a container's limit. */
export const hasOneCore = (): boolean => availableParallelism() === 1 || poolSize() === 1

const poolSize = (): number => {
  const options = [...process.execArgv, process.env.NODE_OPTIONS ?? ''].join(' ')
  const [, size] = /--v8-pool-size[= ](\d+)/.exec(options) ?? []
  return size === undefined ? DEFAULT_POOL_SIZE : Number(size)
}

/** They are the first threads that a process starts: the one that wakes them, and the pool. Others keep theirs. */
export const lowerHelpers = (): void => {
  try {
    const threads = readdirSync('/proc/self/task').map(Number)
    const others = threads.filter((id) => id !== process.pid).sort((a, b) => a - b)
    for (const id of others.slice(0, 1 + poolSize())) setPriority(id, NICENESS)
  } catch {
    // It is only slower without: where /proc is not there, or the system does not let it.
  }
}
