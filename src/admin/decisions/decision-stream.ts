import type { ServerResponse } from 'node:http'
import type { DecisionFilter } from './decision-filter.ts'
import { createDecisionReader } from './decision-reader.ts'
import type { DecisionRing } from './decision-ring.ts'

export interface StreamOptions {
  readonly ring: DecisionRing
  readonly filter: DecisionFilter
  /** Number of the first record to look at. */
  readonly from: number
  /** Begin by saying that records between the last one that the reader has and `from` are gone. */
  readonly gap: boolean
  readonly isStillAllowed: () => boolean
  /** Called once, when it is over. */
  readonly onEnd: () => void
  readonly times?: StreamTimes
}

export interface StreamTimes {
  /** A comment is sent when nothing else was for so long; default 15 s. */
  readonly heartbeatMs: number
  /** How long a reader may take nothing before it is cut off; default 60 s. */
  readonly stallMs: number
}

const TIMES: StreamTimes = { heartbeatMs: 15_000, stallMs: 60_000 }

/** So many records are looked at before requests get their turn. */
const SLICE = 200

/**
 * Streams decisions as server-sent events, each with its id, to a reader of any pace.
 *
 * The ring is the buffer of all readers: what it has dropped before a slow one came to it is told as `dropped` with
 * its count. Ends when the reader goes away, takes nothing for too long, or may not read any more.
 *
 * @returns what ends it with all that the reader can take at once.
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export const streamDecisions = (response: ServerResponse, options: StreamOptions): (() => void) => {
  const { ring, times = TIMES } = options
  const read = createDecisionReader(options.filter)
  let next = options.from
  let scheduled = false
  let isQuiet = true
  let stalled: NodeJS.Timeout | null = null
  let isOver = false

  const send = (text: string): void => {
    isQuiet = false
    if (response.write(text) || stalled !== null) return
    stalled = setTimeout(() => response.destroy(), times.stallMs)
  }

  const sendNext = (): void => {
    const entry = ring.at(next)
    next += 1
    const shown = entry === undefined ? null : read(entry.line, entry.redact)
    if (shown !== null) send(event('decision', shown.record, shown.id))
  }

  const advance = (most: number): void => {
    if (next < ring.start()) {
      send(event('dropped', { count: ring.start() - next }))
      next = ring.start()
    }
    for (let looked = 0; looked < most && next < ring.end() && stalled === null; looked += 1) sendNext()
  }

  const pump = (): void => {
    scheduled = false
    if (isOver) return
    if (!options.isStillAllowed()) return end()
    advance(SLICE)
    if (next < ring.end()) schedule()
  }

  const schedule = (): void => {
    if (scheduled || stalled !== null || isOver) return
    scheduled = true
    setImmediate(pump)
  }

  const heartbeat = setInterval(() => {
    if (!options.isStillAllowed()) return end()
    if (isQuiet && stalled === null) send(': still here\n\n')
    isQuiet = true
  }, times.heartbeatMs)
  const unsubscribe = ring.subscribe(schedule)

  const end = (): void => {
    stop()
    response.end()
  }

  const stop = (): void => {
    if (isOver) return
    isOver = true
    clearInterval(heartbeat)
    if (stalled !== null) clearTimeout(stalled)
    unsubscribe()
    options.onEnd()
  }

  response.on('drain', () => {
    if (stalled !== null) clearTimeout(stalled)
    stalled = null
    schedule()
  })
  response.once('close', stop)
  response.writeHead(200, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    connection: 'close',
  })
  send(`retry: 2000\n: decisions follow\n\n`)
  if (options.gap) send(event('dropped', { count: null }))
  schedule()
  return () => {
    if (isOver) return
    if (stalled === null && options.isStillAllowed()) advance(Number.POSITIVE_INFINITY)
    end()
  }
}

/** JSON has no line ends in it, so that the data is one line. */
const event = (name: string, data: object, id?: string): string =>
  `${id === undefined ? '' : `id: ${id}\n`}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`
