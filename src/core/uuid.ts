import { randomFillSync } from 'node:crypto'

const pool = Buffer.alloc(16 * 256)
let offset = pool.length

const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))
const at = (index: number): string => hex[pool[index] ?? 0] ?? '00'

/**
 * A time-ordered identifier; random bytes come from a pool that is refilled every 256 calls.
 *
 * @param nowMs milliseconds since the epoch.
 * @see https://www.rfc-editor.org/rfc/rfc9562#section-5.7
 */
export const randomUuidV7 = (nowMs: number): string => {
  if (offset === pool.length) {
    randomFillSync(pool)
    offset = 0
  }
  const start = offset
  offset += 16
  pool.writeUIntBE(nowMs, start, 6)
  pool[start + 6] = ((pool[start + 6] ?? 0) & 0x0f) | 0x70
  pool[start + 8] = ((pool[start + 8] ?? 0) & 0x3f) | 0x80
  const part = (from: number, to: number): string => {
    let text = ''
    for (let index = from; index < to; index += 1) text += at(start + index)
    return text
  }
  return `${part(0, 4)}-${part(4, 6)}-${part(6, 8)}-${part(8, 10)}-${part(10, 16)}`
}
