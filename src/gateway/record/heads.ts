import type { Clock } from '../../core/clock.ts'
import type { JsonObject } from '../../core/json.ts'
import type { Log } from '../../core/log.ts'
import type { ChainEnd } from './chain.ts'
import type { Sink } from './sinks/sink.ts'

const EVERY_RECORDS = 10_000
const EVERY_MS = 60_000

/** Signs with a key that is published; compact JWS. */
export interface HeadSigner {
  readonly sign: (payload: JsonObject) => string
}

/** What the end of a chain was at some time. Kept elsewhere, it proves that nothing before it was altered. */
export interface Head extends ChainEnd {
  /** RFC 3339; when the head was made, not when its record was. */
  readonly time: string
  /** The fields above as a compact JWS; not there when nothing signs. */
  readonly jws?: string
}

export interface Heads {
  /** Counts a record, and emits the heads at every 10,000th. */
  readonly recorded: () => void
  /** The heads as of now, one a chain. */
  readonly currentHeads: () => readonly Head[]
  /** Emits what was not emitted yet, and stops. Call it before the sinks are closed. */
  readonly close: () => void
}

/**
 * Lets the heads of all chains out of this machine's reach: into the process log, every minute and every
 * 10,000 records while there is something new, and on request.
 */
export const createHeads = (deps: {
  readonly sinks: readonly Pick<Sink, 'name' | 'heads'>[]
  readonly signer: HeadSigner | null
  readonly log: Log
  readonly clock: Clock
  readonly everyRecords?: number
  readonly everyMs?: number
}): Heads => {
  const { sinks, signer, log, clock, everyRecords = EVERY_RECORDS, everyMs = EVERY_MS } = deps
  const emitted = new Map<string, string>()
  let records = 0

  const headOf = (end: ChainEnd): Head => {
    const { file, writer, seq, hash } = end
    const head = { file, writer, seq, hash, time: new Date(clock.nowMs()).toISOString() }
    return signer === null ? head : { ...head, jws: signer.sign(head) }
  }

  const emit = (): void => {
    records = 0
    for (const sink of sinks) {
      for (const end of sink.heads?.() ?? []) {
        const key = JSON.stringify([sink.name, end.file])
        if (emitted.get(key) === end.hash) continue
        emitted.set(key, end.hash)
        log.info({ auditHead: headOf(end) }, 'audit head')
      }
    }
  }

  const timer = setInterval(emit, everyMs)
  timer.unref()
  return {
    recorded: () => {
      records += 1
      if (records >= everyRecords) emit()
    },
    currentHeads: () => sinks.flatMap((sink) => sink.heads?.() ?? []).map(headOf),
    close: () => {
      clearInterval(timer)
      emit()
    },
  }
}
