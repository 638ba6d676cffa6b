import { setTimeout as pause } from 'node:timers/promises'
import type { Log } from '../../../core/log.ts'
import type { RedisLink } from '../redis/link.ts'
import { heldPosition } from './position.ts'
import type { RedisFeed } from './redis-feed.ts'

export interface DriveOptions {
  readonly feed: RedisFeed
  /** A connection for waiting on; its commands may take longer than `BLOCK_MS`. */
  readonly reader: RedisLink
  readonly everyMs: number
  readonly log: Log
}

export const BLOCK_MS = 1_000
const RETRY_MS = 100

/** Beats on time, and waits for marks in between so that they are applied as soon as they are there. */
export const driveFeed = ({ feed, reader, everyMs, log }: DriveOptions): { readonly close: () => void } => {
  const stop = new AbortController()
  const { signal } = stop
  let last: string | null = null

  const tellChange = (wrong: string | null): void => {
    if (wrong === last) return
    if (wrong === null) log.info({}, 'the revocation feed is heard again')
    else log.warn({ wrong }, 'the revocation feed is not heard')
    last = wrong
  }

  const beatOn = async (): Promise<void> => {
    while (!signal.aborted) {
      tellChange(await feed.beat())
      await pause(everyMs, undefined, { signal, ref: false }).catch(() => undefined)
    }
  }

  const readOn = async (): Promise<void> => {
    while (!signal.aborted) {
      const reply = await reader
        .call('XREAD', 'BLOCK', BLOCK_MS, 'COUNT', 1000, 'STREAMS', feed.streamKey, positionOf(feed))
        .catch(() => FAILED)
      if (reply === FAILED) await pause(RETRY_MS, undefined, { signal, ref: false }).catch(() => undefined)
      else if (Array.isArray(reply)) {
        const [[, entries]] = reply
        feed.take(entries)
        // Tells the one who published that it is in force here.
        void feed.tell()
      }
    }
  }

  void beatOn()
  void readOn()
  return {
    close: () => {
      stop.abort()
      reader.close()
    },
  }
}

const FAILED = Symbol('failed')

const positionOf = (feed: RedisFeed): string => {
  const held = feed.position()
  const slash = held.lastIndexOf('/')
  return heldPosition(held.slice(0, slash), held) ?? '0-0'
}
