/** Makes the bytes of lines where those of earlier lines were: nothing is set aside for each. */
export interface LineEncoder {
  /**
   * UTF-8 of a JSON object with another end in place of its brace, behind the lines that were added before.
   *
   * @param end ASCII.
   * @returns null where there is no room behind them; a first line has room, however long it is.
   */
  readonly add: (line: string, end: string) => Buffer | null
  /** All that was added since the last call of `keep` or `drop`. */
  readonly bytes: () => Buffer
  /** What was added stays whole until `keep` is called once more. */
  readonly keep: () => void
  /** What was added is of no more use. */
  readonly drop: () => void
}

const ROOM_BYTES = 64 * 1024
/** A UTF-16 unit is never more bytes of UTF-8. */
const MOST_BYTES_OF_A_UNIT = 3

/**
 * Makes an encoder with two buffers, used by turns.
 *
 * @param mostBytes of several lines together; default, and at most, 64 KiB.
 */
export const createLineEncoder = (mostBytes = ROOM_BYTES): LineEncoder => {
  const roomBytes = Math.min(mostBytes, ROOM_BYTES)
  let next = Buffer.allocUnsafeSlow(roomBytes)
  let kept = Buffer.allocUnsafeSlow(roomBytes)
  let length = 0
  /** A line for which there is no room at all: it is rare, and has bytes of its own. */
  let long: Buffer | null = null

  const drop = (): void => {
    length = 0
    long = null
  }

  return {
    add: (line, end) => {
      if (long !== null) return null
      const from = length
      if (from + line.length * MOST_BYTES_OF_A_UNIT + end.length > roomBytes) {
        if (from > 0) return null
        long = Buffer.from(`${line.slice(0, -1)}${end}`)
        return long
      }
      const braceAt = from + next.write(line, from) - 1
      length = braceAt + next.write(end, braceAt, 'latin1')
      return next.subarray(from, length)
    },
    bytes: () => long ?? next.subarray(0, length),
    keep: () => {
      if (length > 0) [next, kept] = [kept, next]
      drop()
    },
    drop,
  }
}
