import { randomFillSync } from 'node:crypto'

const pool = Buffer.alloc(16 * 256)
let offset = pool.length

/** The two digits of each byte, as ASCII. */
const DIGITS = Buffer.from(
  Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0')).join(''),
)
const HYPHEN = 0x2d
/** Written anew for each; hyphens stay. */
const text = Buffer.alloc(36, HYPHEN)
/** Where in the text the digits of each byte are. */
const PLACES = Uint8Array.of(0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34)

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
  for (let index = 0; index < 16; index += 1) {
    const at = PLACES[index] ?? 0
    const byte = pool[start + index] ?? 0
    text[at] = DIGITS[2 * byte] ?? 0
    text[at + 1] = DIGITS[2 * byte + 1] ?? 0
  }
  return text.toString('latin1')
}
