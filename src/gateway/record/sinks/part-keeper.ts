import { randomUUID } from 'node:crypto'
import { createReadStream, createWriteStream, readdirSync, renameSync, rmSync, unlinkSync } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import type { Clock } from '../../../core/clock.ts'
import type { Log } from '../../../core/log.ts'
import { readPart } from '../chain-parts.ts'
import { errorCode } from '../error-code.ts'
import { isPartOf, type LogPart, listParts } from './log-parts.ts'
import type { RotationConfig } from './rotation-config.ts'

/** How often it is looked whether a part is too old. */
const LOOK_MS = 3_600_000

/** Deletes and compresses what was rotated, beside the requests. */
export interface PartKeeper {
  /** Looks through the parts soon. */
  readonly tidy: () => void
  /** Stops at once; what was being compressed stays as it was. */
  readonly close: () => void
}

export interface PartKeeperOptions {
  readonly config: Pick<RotationConfig, 'keep' | 'keepFor' | 'compress'>
  /** Of the log itself, not of a link to it. */
  readonly path: string
  readonly chain: boolean
  /** True while no record stands in the log itself: the newest part is then what it goes on from. */
  readonly isEmpty: () => boolean
  readonly clock: Clock
  readonly log: Log
}

export const createPartKeeper = (options: PartKeeperOptions): PartKeeper => {
  const { config, path, log } = options
  const closing = new AbortController()
  const { signal } = closing
  let running = false
  let again = false

  const run = async (): Promise<void> => {
    do {
      again = false
      try {
        await expire(options)
        if (config.compress !== undefined) await compressAll(path, log, signal)
      } catch (error) {
        if (!signal.aborted)
          log.error({ file: path, code: errorCode(error) }, 'rotated audit files were left as they are')
      }
    } while (again && !signal.aborted)
    running = false
  }

  const tidy = (): void => {
    if (signal.aborted || options.isEmpty()) return
    again = true
    if (running) return
    running = true
    void run()
  }

  removeLeftovers(path)
  const timer = config.keepFor === undefined ? undefined : setInterval(tidy, LOOK_MS)
  timer?.unref()
  return {
    tidy,
    close: () => {
      clearInterval(timer)
      closing.abort()
    },
  }
}

/** Deletes the oldest parts, as many as there are too many or too old. */
const expire = async (options: PartKeeperOptions): Promise<void> => {
  const { config, path, chain, clock, log } = options
  const { keep = Number.POSITIVE_INFINITY, keepFor = Number.POSITIVE_INFINITY } = config
  const parts = listParts(path)
  const expired = parts.filter(
    ({ rotatedAtMs }, index) => index < parts.length - keep || rotatedAtMs + keepFor < clock.nowMs(),
  )
  if (expired.length === 0) return
  for (const part of expired) {
    rmSync(part.path, { force: true })
    rmSync(`${part.path}.gz`, { force: true })
  }
  const deleted = expired.map((part) => basename(part.path))
  const from = chain ? { from: await firstLeft(path) } : {}
  log.info({ file: path, deleted, ...from }, 'old audit files were deleted')
}

/** The head of what was deleted, as `audit verify --from` takes it. */
const firstLeft = async (path: string): Promise<string | null> => {
  const [oldest] = listParts(path)
  const { first } = await readPart(oldest === undefined ? path : fileOf(oldest))
  return first === null ? null : `${first.seq - 1}:${first.prev}`
}

const fileOf = ({ path, isPlain }: LogPart): string => (isPlain ? path : `${path}.gz`)

const compressAll = async (path: string, log: Log, signal: AbortSignal): Promise<void> => {
  for (const part of listParts(path)) {
    if (signal.aborted) return
    if (!part.isPlain) continue
    try {
      await compress(part.path, signal)
    } catch (error) {
      if (!signal.aborted)
        log.error({ file: part.path, code: errorCode(error) }, 'a rotated audit file cannot be compressed')
    }
  }
}

/** The compressed file is whole and on the disk before the other one goes. */
const compress = async (path: string, signal: AbortSignal): Promise<void> => {
  const temporary = `${path}.gz.${randomUUID()}.tmp`
  try {
    const target = createWriteStream(temporary, { flags: 'wx', mode: 0o640, flush: true })
    await pipeline(createReadStream(path), createGzip(), target, { signal })
    signal.throwIfAborted()
    renameSync(temporary, `${path}.gz`)
    await syncFolderOf(path)
    // After `close` the parts may be another's to look after.
    signal.throwIfAborted()
    unlinkSync(path)
  } finally {
    await rm(temporary, { force: true })
  }
}

const syncFolderOf = async (path: string): Promise<void> => {
  const folder = await open(dirname(path), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

const LEFTOVER = /\.gz\.[0-9a-f-]{36}\.tmp$/

/** What a crash left behind. */
const removeLeftovers = (path: string): void => {
  const folder = dirname(path)
  for (const name of readdirSync(folder)) {
    const part = join(folder, name.replace(LEFTOVER, ''))
    if (LEFTOVER.test(name) && isPartOf(path, part)) rmSync(join(folder, name), { force: true })
  }
}
