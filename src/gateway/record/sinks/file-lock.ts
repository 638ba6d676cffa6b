import { randomUUID } from 'node:crypto'
import {
  linkSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { z } from 'zod'
import { errorCode } from '../error-code.ts'
import { SinkInUseError, SinkStartError } from './sink.ts'

/** How often a holder shows that it lives. */
const HEARTBEAT_MS = 1_000
const MISSED_BEATS = 2
/** A holder that cannot be looked at is taken for dead after this long without a heartbeat. */
const STALE_AFTER_MS = 5_000

/** The right to be the only writer of a file. */
export interface FileLock {
  /** False once somebody else has taken the lock over, such as while this process was stopped; final. */
  readonly isHeld: () => boolean
  /** As `isHeld`, as of now: for what would undo the work of somebody else. */
  readonly isStillHeld: () => boolean
  readonly release: () => void
}

const holderSchema = z.object({ pid: z.int(), started: z.string(), place: z.string(), token: z.string() })
type Holder = z.infer<typeof holderSchema>

/**
 * Takes `<path>.lock`, or throws `SinkStartError` that names who holds it.
 *
 * A lock whose process is gone is taken over: at once where that process would be visible, and after
 * `staleAfterMs` without a heartbeat where it would not be (another container, another machine).
 * Blocks for that long in this one case.
 */
export const lockFile = (
  path: string,
  { heartbeatMs = HEARTBEAT_MS, staleAfterMs = STALE_AFTER_MS } = {},
): FileLock => {
  const lockPath = `${path}.lock`
  const holder: Holder = {
    pid: process.pid,
    started: startOf(process.pid),
    place: place(),
    token: randomUUID(),
  }
  const content = `${JSON.stringify(holder)}\n`
  take(lockPath, content, staleAfterMs)

  let held = true
  let released = false
  let beatAtMs = Date.now()
  const beat = (): void => {
    beatAtMs = Date.now()
    if (held) held = isStillOurs(lockPath, content)
  }
  const timer = setInterval(beat, heartbeatMs)
  timer.unref()
  return {
    isHeld: () => {
      // Requests come before timers when a process goes on that was stopped: by then it may be somebody else's.
      if (held && !released && Math.abs(Date.now() - beatAtMs) > MISSED_BEATS * heartbeatMs) beat()
      return held
    },
    isStillHeld: () => {
      if (!released) beat()
      return held && !released
    },
    release: () => {
      released = true
      clearInterval(timer)
      if (readOrNull(lockPath) === content) unlinkSync(lockPath)
    },
  }
}

const take = (lockPath: string, content: string, staleAfterMs: number): void => {
  // More than once, since the holder may let go, or another contender come first, between two looks.
  for (let attempt = 0; attempt < 3; attempt += 1) {
    if (create(lockPath, content)) return
    const found = readOrNull(lockPath)
    if (found === null) continue
    const holder = parseHolder(found)
    if (isAlive(holder, lockPath, staleAfterMs)) throw inUse(lockPath, holder)
    setAside(lockPath, found, holder)
  }
  throw inUse(lockPath, null)
}

const create = (lockPath: string, content: string): boolean => {
  try {
    writeFileSync(lockPath, content, { flag: 'wx', mode: 0o640 })
    return true
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false
    throw new SinkStartError(`${lockPath} cannot be written: ${errorCode(error)}`, { cause: error })
  }
}

/** Removes a dead lock, but only the very one that was looked at: another contender may have replaced it. */
const setAside = (lockPath: string, found: string, holder: Holder | null): void => {
  const aside = `${lockPath}.${randomUUID()}`
  try {
    renameSync(lockPath, aside)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return
    throw new SinkStartError(`${lockPath} cannot be taken over: ${errorCode(error)}`, { cause: error })
  }
  const isTheOne = readOrNull(aside) === found
  if (!isTheOne) linkSync(aside, lockPath)
  unlinkSync(aside)
  if (!isTheOne) throw inUse(lockPath, holder)
}

const inUse = (lockPath: string, holder: Holder | null): SinkInUseError => {
  const who = holder === null ? 'another process' : `process ${holder.pid}`
  return new SinkInUseError(
    `another gateway writes this file: ${lockPath} is held by ${who}; two writers in one file would break its chain`,
  )
}

const isStillOurs = (lockPath: string, content: string): boolean => {
  try {
    const found = readOrNull(lockPath)
    if (found === null) return create(lockPath, content)
    if (found !== content) return false
    const now = new Date()
    utimesSync(lockPath, now, now)
    return true
  } catch {
    // Not to be able to look (no file handles left, an I/O error) does not mean that it is lost.
    return true
  }
}

const isAlive = (holder: Holder | null, lockPath: string, staleAfterMs: number): boolean => {
  if (holder !== null && holder.place === place()) return isRunning(holder)
  const before = modifiedMs(lockPath)
  const step = Math.min(100, Math.ceil(staleAfterMs / 20))
  for (let waited = 0; waited < staleAfterMs; waited += step) {
    sleep(step)
    if (modifiedMs(lockPath) !== before) return true
  }
  return false
}

const isRunning = ({ pid, started }: Holder): boolean => {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if (errorCode(error) === 'ESRCH') return false
  }
  const found = startOf(pid)
  // Where the start is not visible, an existing process is taken for the holder.
  return found === '' || found === started
}

/** Tells a process from a later one with the same number; `gone` for one that only waits to be reaped, empty when unknown. */
const startOf = (pid: number): string => {
  const stat = readOrNull(`/proc/${pid}/stat`)
  if (stat === null) return ''
  // The name before `)` may itself hold spaces and brackets. See proc(5): state is field 3, starttime 22.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields[0] === 'Z' || fields[0] === 'X' ? 'gone' : (fields[19] ?? '')
}

/** Process numbers mean the same only within one boot and one PID namespace. */
const place = (): string => {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    return `${boot} ${readlinkSync('/proc/self/ns/pid')}`
  } catch {
    return hostname()
  }
}

const parseHolder = (content: string): Holder | null => {
  try {
    const parsed = holderSchema.safeParse(JSON.parse(content))
    return parsed.success ? parsed.data : null
  } catch {
    return null
  }
}

const readOrNull = (path: string): string | null => {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ESRCH') return null
    throw error
  }
}

const modifiedMs = (path: string): number => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0

const sleep = (ms: number): void => {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}
