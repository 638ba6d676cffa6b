import type { Prepared } from '../config/configuration.ts'
import type { Log } from '../core/log.ts'
import { type Sink, SinkInUseError, SinkStartError } from '../gateway/record/sinks/sink.ts'
import type { Hold } from './instances.ts'

/** The sinks that are open, of all configurations at work. */
export interface OpenSinks {
  /**
   * Opens the sinks of a configuration, in their order; one whose entry is unchanged is the same one, and goes on.
   *
   * An entry that has changed but still wants the same file cannot be opened beside the old one: then the old one is
   * closed first, and whoever still uses it goes on by the new one. There is no gap: all of it is synchronous.
   *
   * @returns why not, when one cannot be opened; everything is as it was then.
   */
  readonly open: (prepared: readonly Prepared<Sink>[]) => readonly Hold<Sink>[] | { readonly failed: string }
}

/** A sink that can be exchanged under those who use it. */
interface Slot {
  readonly fingerprint: string
  readonly create: () => Sink
  /** What users have; leads to `inner`. */
  readonly sink: Sink
  inner: Sink
  /** Set when another slot has taken over: `inner` is that one's to close. */
  heir: Slot | null
  holders: number
}

const createSlot = ({ fingerprint, create }: Prepared<Sink>): Slot => {
  const inner = create()
  const slot: Slot = {
    fingerprint,
    create,
    // Whatever a sink has, users find there what the one has that is in its place now.
    sink: new Proxy(inner, { get: (_first, key) => Reflect.get(slot.inner, key) }),
    inner,
    heir: null,
    holders: 0,
  }
  return slot
}

/** A step that was taken, and how to take it back. */
interface Step {
  readonly slot: Slot
  readonly undo: () => void
}

/** How long a sink that an edit removed may take to send on what it holds. */
const FLUSH_TIMEOUT_MS = 10_000

/** @param later gets what goes on after a sink was let go of. */
export const createOpenSinks = (log: Log, later: (work: Promise<void>) => void): OpenSinks => {
  const slots = new Set<Slot>()

  const hold = (slot: Slot): Hold<Sink> => {
    slots.add(slot)
    slot.holders += 1
    return { value: slot.sink, release: () => letGo(slot) }
  }

  const letGo = (slot: Slot): void => {
    slot.holders -= 1
    if (slot.holders > 0) return
    if (slot.heir !== null) {
      slots.delete(slot)
      return letGo(slot.heir)
    }
    const flushed = slot.inner.flush?.(AbortSignal.timeout(FLUSH_TIMEOUT_MS))
    if (flushed === undefined) return close(slot)
    later(flushed.finally(() => close(slot)))
  }

  /** Not if it was wanted again, or another took over, while it was flushed. */
  const close = (slot: Slot): void => {
    if (slot.holders > 0 || slot.heir !== null || !slots.delete(slot)) return
    slot.inner.close()
  }

  const open = (prepared: Prepared<Sink>, leaving: readonly Slot[]): Step => {
    try {
      const slot = createSlot(prepared)
      return { slot, undo: () => slot.inner.close() }
    } catch (error) {
      if (!(error instanceof SinkInUseError)) throw error
      for (const old of leaving) {
        const step = takeOver(old, prepared)
        if (step !== null) return step
      }
      throw error
    }
  }

  /** Null when that did not help. */
  const takeOver = (old: Slot, prepared: Prepared<Sink>): Step | null => {
    old.inner.close()
    try {
      const slot = createSlot(prepared)
      old.inner = slot.sink
      old.heir = slot
      // Those who use the old one go on by the new one, which therefore lives as long as they do.
      if (old.holders > 0) slot.holders += 1
      else slots.delete(old)
      return {
        slot,
        undo: () => {
          slot.inner.close()
          reopen(old)
        },
      }
    } catch (error) {
      reopen(old)
      if (!(error instanceof SinkInUseError)) throw error
      return null
    }
  }

  const reopen = (slot: Slot): void => {
    slot.heir = null
    slots.add(slot)
    try {
      slot.inner = slot.create()
    } catch (error) {
      const failed = error instanceof Error ? error.message : String(error)
      slot.inner = brokenSink(slot.inner, failed)
      log.error({ sink: slot.inner.name, failed }, 'an audit sink was closed and cannot be opened again')
    }
    close(slot)
  }

  return {
    open: (prepared) => {
      const unclaimed = new Set([...slots].filter(({ heir }) => heir === null))
      const known = prepared.map(({ fingerprint }) => {
        const slot = [...unclaimed].find((each) => each.fingerprint === fingerprint) ?? null
        if (slot !== null) unclaimed.delete(slot)
        return slot
      })
      const steps: Step[] = []
      try {
        const chosen = prepared.map((each, index) => {
          const slot = known[index]
          if (slot !== undefined && slot !== null) return slot
          const leaving = [...unclaimed].filter(({ heir }) => heir === null)
          const step = open(each, leaving)
          steps.push(step)
          return step.slot
        })
        return chosen.map(hold)
      } catch (error) {
        for (const { undo } of steps.reverse()) undo()
        if (!(error instanceof SinkStartError)) throw error
        return { failed: error.message }
      }
    },
  }
}

const brokenSink = ({ name, required }: Sink, failed: string): Sink => ({
  name,
  required,
  write: () => ({ failed }),
  close: () => undefined,
})
