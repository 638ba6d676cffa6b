/** Makes the bytes of lines where those of an earlier line were: nothing is set aside for each. */
export interface LineEncoder {
  /**
   * UTF-8 of a JSON object with another end in place of its brace. The bytes stay whole until the next call, and
   * if they are kept, until after the next that are kept.
   *
   * @param end ASCII.
   */
  readonly encode: (line: string, end: string) => Buffer
  /** The bytes made last stay whole while the next are made. */
  readonly keep: () => void
}

/** What is longer is rare, and gets bytes of its own. */
const SIZE_BYTES = 64 * 1024
/** A UTF-16 unit is never more bytes of UTF-8. */
const MOST_BYTES_OF_A_UNIT = 3

/** @returns an encoder with two buffers, used by turns. */
export const createLineEncoder = (): LineEncoder => {
  let next = Buffer.allocUnsafeSlow(SIZE_BYTES)
  let kept = Buffer.allocUnsafeSlow(SIZE_BYTES)
  return {
    encode: (line, end) => {
      if (line.length * MOST_BYTES_OF_A_UNIT + end.length > SIZE_BYTES)
        return Buffer.from(`${line.slice(0, -1)}${end}`)
      const braceAt = next.write(line) - 1
      return next.subarray(0, braceAt + next.write(end, braceAt, 'latin1'))
    },
    keep: () => {
      ;[next, kept] = [kept, next]
    },
  }
}
