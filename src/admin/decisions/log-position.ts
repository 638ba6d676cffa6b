import type { FileHandle } from 'node:fs/promises'

const PROBE_BYTES = 64 * 1024
const TIME = /"time":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)"/
/** Lines of one moment may stand a little out of order. */
const SLACK_MS = 1000

/**
 * A place in a log behind all records up to some time, so that whoever reads backwards need not begin at the end.
 *
 * The lines of a log stand in the order of their times, so a few looks are enough, whatever its size.
 *
 * @param untilMs milliseconds since the epoch.
 */
export const positionAfter = async (file: FileHandle, size: number, untilMs: number): Promise<number> => {
  let low = 0
  let high = size
  while (high - low > PROBE_BYTES) {
    const middle = Math.floor((low + high) / 2)
    const timeMs = await firstTimeFrom(file, middle)
    if (timeMs !== null && timeMs > untilMs + SLACK_MS) high = middle
    else if (timeMs === null) return high
    else low = middle
  }
  // A line that begins before `high` may end behind it.
  return Math.min(size, high + PROBE_BYTES)
}

const firstTimeFrom = async (file: FileHandle, position: number): Promise<number | null> => {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(PROBE_BYTES), 0, PROBE_BYTES, position)
  const text = buffer.subarray(0, bytesRead).toString('latin1')
  const start = text.indexOf('\n')
  const time = start === -1 ? undefined : TIME.exec(text.slice(start))?.[1]
  return time === undefined ? null : Date.parse(time)
}

/** When a UUIDv7 was made; null for what is none. @see https://www.rfc-editor.org/rfc/rfc9562#section-5.7 */
export const timeOfId = (id: string): number | null =>
  /^[0-9a-f]{8}-[0-9a-f]{4}-7/.test(id) ? Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) : null
