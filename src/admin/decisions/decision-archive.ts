import { realpathSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { JsonObject } from '../../core/json.ts'
import { readLog } from '../../gateway/record/read-log.ts'
import { listParts } from '../../gateway/record/sinks/log-parts.ts'
import { readLinesBackwards } from './backward-lines.ts'
import { type DecisionFilter, recordedAtMs } from './decision-filter.ts'
import { createDecisionReader, parseRecord, type ReadDecision } from './decision-reader.ts'
import type { DecisionRing, Redact } from './decision-ring.ts'
import { positionAfter, timeOfId } from './log-position.ts'

/** A decision log that can be read back. */
export interface DecisionFile {
  readonly path: string
  /** What is to be redacted besides what is redacted in it; null: nothing. */
  readonly redact: Redact | null
}

export interface Found {
  /** The newest first. */
  readonly decisions: readonly JsonObject[]
  /** True when no other decision that was looked for can be there. */
  readonly complete: boolean
}

/** The latest decisions: of this process from memory, older ones from the end of a log. */
export interface DecisionArchive {
  /** Resolves to null when too many searches are under way. */
  readonly search: (filter: DecisionFilter, limit: number, signal: AbortSignal) => Promise<Found | null>
  readonly find: (id: string, signal: AbortSignal) => Promise<Found | null>
}

export interface ArchiveOptions {
  readonly ring: DecisionRing
  /** The log that is written now; null: there is none. */
  readonly file: () => DecisionFile | null
  /** How much is read of the log and of the parts that it was rotated to; default 1 GiB. */
  readonly maxFileBytes?: number
}

const MAX_FILE_BYTES = 1 << 30
/** How long after its id was made a decision may be recorded. */
const LONGEST_REQUEST_MS = 24 * 3_600_000
const MAX_SEARCHES = 4
/** So many records of the ring are looked at before requests get their turn. */
const RING_SLICE = 500

interface Search {
  readonly read: ReadDecision
  readonly sinceMs: number
  readonly untilMs: number
  readonly limit: number
  readonly signal: AbortSignal
  readonly found: JsonObject[]
}

/**
 * Looks decisions up, newest first.
 *
 * Parts that a log was rotated to are read too, also compressed ones, unless their names say that they are too old.
 * What it reads is bounded, and in between the requests of callers get their turn.
 */
export const createDecisionArchive = (options: ArchiveOptions): DecisionArchive => {
  const { ring, maxFileBytes = MAX_FILE_BYTES } = options
  let underWay = 0

  const run = async (search: Search): Promise<Found | null> => {
    if (underWay >= MAX_SEARCHES) return null
    underWay += 1
    try {
      const oldest = await searchRing(ring, search)
      if (isFull(search)) return { decisions: search.found, complete: false }
      // What is older than what was asked for is not in the log either.
      if (oldest === 'enough') return { decisions: search.found, complete: true }
      const file = options.file()
      const complete = file === null ? ring.start() === 0 : await searchLog(file, ring, search, maxFileBytes)
      return { decisions: search.found, complete: complete && !isFull(search) }
    } finally {
      underWay -= 1
    }
  }

  return {
    search: (filter, limit, signal) =>
      run({
        read: createDecisionReader(filter),
        sinceMs: filter.sinceMs ?? -Infinity,
        untilMs: Infinity,
        limit,
        signal,
        found: [],
      }),
    find: async (id, signal) => {
      const kept = ring.find(id)
      const entry = kept === null ? undefined : ring.at(kept)
      const shown = entry === undefined ? null : createDecisionReader({})(entry.line, entry.redact)
      if (shown !== null) return { decisions: [shown.record], complete: true }
      const madeMs = timeOfId(id)
      const sinceMs = madeMs === null ? -Infinity : madeMs - 1000
      const untilMs = madeMs === null ? Infinity : madeMs + LONGEST_REQUEST_MS
      return await run({ read: readById(id), sinceMs, untilMs, limit: 1, signal, found: [] })
    },
  }
}

const readById = (id: string): ReadDecision => {
  const needle = JSON.stringify(id)
  const readAny = createDecisionReader({})
  return (line, redact) => {
    if (!line.includes(needle)) return null
    const shown = readAny(line, redact)
    return shown?.id === id ? shown : null
  }
}

const isFull = ({ found, limit }: Search): boolean => found.length >= limit

/** `enough` when what is left would be older than what is looked for. */
const searchRing = async (ring: DecisionRing, search: Search): Promise<'enough' | 'on'> => {
  let looked = 0
  for (let number = ring.end() - 1; number >= ring.start() && !isFull(search); number -= 1) {
    looked += 1
    if (looked % RING_SLICE === 0) {
      await turn()
      search.signal.throwIfAborted()
      const record = parseRecord(ring.at(number)?.line ?? '')
      if (record !== null && recordedAtMs(record) < search.sinceMs) return 'enough'
    }
    const entry = ring.at(number)
    if (entry === undefined) break
    const shown = search.read(entry.line, entry.redact)
    if (shown !== null) search.found.push(shown.record)
  }
  const oldest = parseRecord(ring.at(ring.start())?.line ?? '')
  return oldest !== null && recordedAtMs(oldest) < search.sinceMs ? 'enough' : 'on'
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** True when everything was looked at, or all that is not older than what is looked for. */
const searchLog = async (
  { path, redact }: DecisionFile,
  ring: DecisionRing,
  search: Search,
  maxBytes: number,
): Promise<boolean> => {
  const known = idsIn(ring)
  const take = (line: Buffer): boolean => {
    const shown = search.read(line, redact)
    if (shown !== null && !known.has(shown.id)) search.found.push(shown.record)
    return !isFull(search)
  }
  let left = maxBytes
  const paths = [{ path, rotatedAtMs: Infinity, isCompressed: false }, ...partsOf(path)]
  for (const part of paths) {
    if (part.rotatedAtMs < search.sinceMs) return true
    const looked = part.isCompressed
      ? await searchCompressed(part.path, search, redact, known)
      : await searchFile(part.path, search, take, left)
    if (isFull(search)) return false
    if (looked === 'enough') return true
    if (looked === null) return false
    left -= looked
    if (left <= 0) return false
  }
  return true
}

/** The newest first. */
const partsOf = (path: string) => {
  try {
    return listParts(realpathSync(path))
      .toReversed()
      .map(({ path: plain, rotatedAtMs, isPlain }) => ({
        path: isPlain ? plain : `${plain}.gz`,
        rotatedAtMs,
        isCompressed: !isPlain,
      }))
  } catch {
    return []
  }
}

/** How many bytes were read; `enough` when the rest is older than what is looked for; null when there is more to read. */
const searchFile = async (
  path: string,
  search: Search,
  take: (line: Buffer) => boolean,
  maxBytes: number,
): Promise<number | 'enough' | null> => {
  const file = await openIfThere(path)
  if (file === null) return null
  try {
    const { size } = await file.stat()
    const from = search.untilMs === Infinity ? size : await positionAfter(file, size, search.untilMs)
    for await (const { lines, isLast } of readLinesBackwards(file, from, { maxBytes })) {
      search.signal.throwIfAborted()
      for (const line of lines) if (!take(line)) return null
      if (isLast) return from
      const oldest = parseRecord(lines.at(-1)?.toString() ?? '')
      if (oldest !== null && recordedAtMs(oldest) < search.sinceMs) return 'enough'
      await turn()
    }
    return null
  } finally {
    await file.close()
  }
}

/** Forwards, since it cannot be read otherwise; keeps the newest of what it finds. */
const searchCompressed = async (
  path: string,
  search: Search,
  redact: Redact | null,
  known: ReadonlySet<string>,
): Promise<number | 'enough' | null> => {
  const wanted = search.limit - search.found.length
  const found: JsonObject[] = []
  let bytesRead = 0
  const broken = await readLog(path, ({ bytes }) => {
    if (bytes === null) return true
    bytesRead += bytes.length
    const shown = search.read(bytes, redact)
    if (shown !== null && !known.has(shown.id)) found.push(shown.record)
    if (found.length > 2 * wanted) found.splice(0, found.length - wanted)
    return !search.signal.aborted
  })
  search.signal.throwIfAborted()
  search.found.push(...found.slice(-wanted).reverse())
  return broken === null ? bytesRead : null
}

const openIfThere = async (path: string): Promise<FileHandle | null> => {
  try {
    return await open(path, 'r')
  } catch {
    return null
  }
}

const idsIn = (ring: DecisionRing): ReadonlySet<string> => {
  const ids = new Set<string>()
  for (let number = ring.start(); number < ring.end(); number += 1) {
    const id = /^\{"v":1,"id":"([^"\\]*)"/.exec(ring.at(number)?.line ?? '')?.[1]
    if (id !== undefined) ids.add(id)
  }
  return ids
}
