import { closeSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Log } from '../../../core/log.ts'
import { readBytes } from '../read-bytes.ts'
import { type AppendFile, openAppendFile, sizeOf } from './append-file.ts'
import { repairTail } from './file-tail.ts'
import { createLineWriter, type LineWriter } from './line-writer.ts'

/** One file of a spool; it stays open until it is removed, whatever becomes of its name. */
export interface SpoolSegment {
  readonly number: number
  readonly path: string
  readonly file: AppendFile
  readonly writer: LineWriter
}

const NAME = /^(\d{12})\.ndjson$/
const NEWLINE = 0x0a
const CHUNK_BYTES = 1 << 20

/** Numbers of the segments in a folder, rising. Throws what the system says. */
export const listSegments = (folder: string): readonly number[] =>
  readdirSync(folder)
    .flatMap((name) => NAME.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((left, right) => left - right)

export interface SegmentOptions {
  readonly folder: string
  readonly fsync: boolean
  readonly now: Date
  readonly log: Log
}

/** Opens a segment, or makes it; what a crash tore off at its end is set aside. Throws `SinkStartError`. */
export const openSegment = (number: number, options: SegmentOptions): SpoolSegment => {
  const { folder, fsync, now, log } = options
  const path = join(folder, `${String(number).padStart(12, '0')}.ndjson`)
  const file = openAppendFile(path)
  try {
    const { length } = repairTail(file.fd, sizeOf(file), { path, accept: () => null, now, log })
    return { number, path, file, writer: createLineWriter(file, length, fsync) }
  } catch (error) {
    closeSync(file.fd)
    throw error
  }
}

/** Closes a segment and removes its file; throws what the system says, also when it is gone already. */
export const removeSegment = ({ file, path }: SpoolSegment): void => {
  closeSync(file.fd)
  rmSync(path, { force: true })
}

/** Lines between two positions. */
export const countLines = ({ file }: SpoolSegment, from: number, to: number): number => {
  let count = 0
  for (let at = from; at < to; at += CHUNK_BYTES) {
    count += newlinesIn(readBytes(file.fd, at, Math.min(to, at + CHUNK_BYTES)))
  }
  return count
}

const newlinesIn = (bytes: Buffer): number => {
  let count = 0
  for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, at + 1)) count += 1
  return count
}

export interface Lines {
  /** Whole lines, each with its newline. */
  readonly bytes: Buffer
  readonly records: number
}

/** The next whole lines: as many as fit, but one at least, however long it is. Null when there are none. */
export const readSegmentLines = (
  { file, writer }: SpoolSegment,
  from: number,
  most: { readonly records: number; readonly bytes: number },
): Lines | null => {
  const end = writer.length()
  for (let size = most.bytes; ; size *= 2) {
    const to = Math.min(end, from + size)
    const found = wholeLines(readBytes(file.fd, from, to), most.records)
    if (found.records > 0) return found
    if (to === end) return null
  }
}

const wholeLines = (bytes: Buffer, mostRecords: number): Lines => {
  let end = 0
  let records = 0
  while (records < mostRecords) {
    const newline = bytes.indexOf(NEWLINE, end)
    if (newline === -1) break
    end = newline + 1
    records += 1
  }
  return { bytes: bytes.subarray(0, end), records }
}
