/** A Close frame as a server sends it: 1001, going away. */
export const CLOSE_GOING_AWAY: Buffer = Buffer.from([0x88, 0x02, 0x03, 0xe9])

/** 1008, policy violation. */
export const CLOSE_POLICY: Buffer = Buffer.from([0x88, 0x02, 0x03, 0xf0])

const CLOSE = 0x8

/** Knows where the frames of one direction end, so that another can be put in between; keeps none of them. */
export interface FrameTracker {
  /**
   * Reads on.
   *
   * @param stop at the next end of a frame.
   * @returns how many bytes were read: all, unless it stopped.
   */
  readonly read: (chunk: Buffer, stop?: 'stop') => number
  /** True between two frames. */
  readonly isBetween: () => boolean
  /** True when a Close frame has begun: nothing follows it. */
  readonly isClosing: () => boolean
}

/** @see https://www.rfc-editor.org/rfc/rfc6455#section-5.2 */
export const createFrameTracker = (): FrameTracker => {
  const header = Buffer.alloc(14)
  let headerBytes = 0
  let payloadLeft = 0
  let closing = false

  /** Takes one byte of a header; what follows it is known with its last one. */
  const readHeader = (byte: number): void => {
    header[headerBytes] = byte
    headerBytes += 1
    if (headerBytes === 1) closing ||= (byte & 0x0f) === CLOSE
    if (headerBytes < 2) return
    const second = header[1] ?? 0
    const short = second & 0x7f
    const extended = short === 126 ? 2 : short === 127 ? 8 : 0
    const masked = (second & 0x80) === 0 ? 0 : 4
    if (headerBytes < 2 + extended + masked) return
    // Longer ones than a number can tell do not end in any case.
    payloadLeft =
      extended === 0 ? short : extended === 2 ? header.readUInt16BE(2) : Number(header.readBigUInt64BE(2))
    headerBytes = 0
  }

  const isBetween = (): boolean => headerBytes === 0 && payloadLeft === 0

  return {
    read: (chunk, stop) => {
      let at = 0
      while (at < chunk.length) {
        if (stop !== undefined && isBetween()) return at
        if (payloadLeft > 0) {
          const step = Math.min(payloadLeft, chunk.length - at)
          payloadLeft -= step
          at += step
        } else {
          readHeader(chunk[at] ?? 0)
          at += 1
        }
      }
      return at
    },
    isBetween,
    isClosing: () => closing,
  }
}
