import type { Clock } from '../../core/clock.ts'
import type { Log } from '../../core/log.ts'
import type { RecordEntry } from '../../core/record-entry.ts'
import { isRefusal, type Refusal, type RefusalCode } from '../../core/refusals.ts'
import { randomUuidV7 } from '../../core/uuid.ts'
import type { RefusalRecordsConfig } from './config.ts'

/** Keeps floods of refusals from filling the decision log. */
export interface Floods {
  /** True: it was counted, and is neither to be recorded by itself nor to be told an id. */
  readonly absorb: (entry: RecordEntry) => boolean
  /** Records what was counted; nothing is counted afterwards. */
  readonly close: () => void
}

/** Refusals of one kind from one address. */
interface Count {
  readonly ip: string
  readonly outcome: Refusal
  readonly sinceMs: number
  count: number
}

/** One address in one window. */
interface Tally {
  recorded: number
  readonly counts: Map<string, Count>
}

/** What anybody can cause as often as they like, without a credential and without having asked a policy. */
const FLOODING: ReadonlySet<RefusalCode> = new Set(['bad_request', 'unauthenticated', 'no_route'])
/** Lines that are written at once; requests are served between two such steps. */
const LINES_A_STEP = 50
const OTHERS = 'others'

/**
 * Counts refusals of an address above a number in each window, and records them as one line a kind when it ends.
 *
 * Nothing that a policy decided, and no request that was forwarded, is ever counted instead of recorded.
 * At `close` the counts are exact; a process that is killed loses those of the window that was open.
 *
 * @param record records one entry, as if nothing was ever coalesced.
 */
export const createFloods = (deps: {
  readonly config: RefusalRecordsConfig
  readonly record: (entry: RecordEntry) => true | Refusal
  readonly clock: Clock
  readonly log: Log
}): Floods => {
  const { config, record, clock, log } = deps
  let tallies = new Map<string, Tally>()
  /** Of windows that are over. */
  let due: Count[] = []
  let timer: NodeJS.Timeout | null = null
  let step: NodeJS.Immediate | null = null
  let closed = false

  const tallyOf = (ip: string): Tally => {
    const key = tallies.has(ip) || tallies.size < config.addresses ? ip : OTHERS
    const known = tallies.get(key)
    if (known !== undefined) return known
    const made: Tally = { recorded: 0, counts: new Map() }
    tallies.set(key, made)
    timer ??= setTimeout(endWindow, config.window).unref()
    return made
  }

  const add = ({ counts }: Tally, ip: string, outcome: Refusal): void => {
    const kind = `${outcome.refusal} ${outcome.stage}`
    const known = counts.get(kind)
    if (known !== undefined) known.count += 1
    else counts.set(kind, { ip, outcome, sinceMs: clock.nowMs(), count: 1 })
  }

  const absorb = (entry: RecordEntry): boolean => {
    const { outcome, request } = entry
    if (closed || !isRefusal(outcome) || !FLOODING.has(outcome.refusal)) return false
    if (entry.observed === true || entry.follows !== undefined) return false
    const tally = tallyOf(request.ip)
    if (tally.recorded < config.perAddress) {
      tally.recorded += 1
      return false
    }
    add(tally, tally === tallies.get(OTHERS) ? '' : request.ip, outcome)
    return true
  }

  const endWindow = (): void => {
    timer = null
    for (const { counts } of tallies.values()) due.push(...counts.values())
    tallies = new Map()
    step ??= setImmediate(writeSome)
  }

  const writeSome = (): void => {
    step = null
    const failed = write(due.splice(0, LINES_A_STEP))
    due.push(...failed)
    if (due.length > failed.length) step = setImmediate(writeSome)
    // What could not be recorded now is tried again with the next window.
    else if (failed.length > 0) timer ??= setTimeout(endWindow, config.window).unref()
  }

  /** Those that could not be recorded. */
  const write = (counts: readonly Count[]): readonly Count[] =>
    counts.filter((count) => record(entryOf(count, clock.nowMs())) !== true)

  return {
    absorb,
    close: () => {
      if (closed) return
      closed = true
      if (timer !== null) clearTimeout(timer)
      if (step !== null) clearImmediate(step)
      for (const { counts } of tallies.values()) due.push(...counts.values())
      const lost = write(due).reduce((sum, { count }) => sum + count, 0)
      due = []
      tallies = new Map()
      if (lost > 0) log.error({ refusals: lost }, 'refusals that were counted could not be recorded')
    },
  }
}

const entryOf = ({ ip, outcome, sinceMs, count }: Count, nowMs: number): RecordEntry => {
  const id = randomUuidV7(nowMs)
  const { refusal, stage } = outcome
  return {
    id,
    outcome: { refusal, stage, detail: 'a flood of refusals, of which only the number was kept' },
    coalesced: { count, sinceMs },
    request: { id, method: '', host: '', path: '', ip, receivedAtMs: sinceMs },
    route: null,
    identity: null,
    bound: null,
    latencyUs: {},
  }
}
