/** Keeps the bytes of the request head that is being read, for the record of a request that is then refused. */
export interface HeadCapture {
  /** Before the parser sees a chunk. */
  readonly data: (chunk: Buffer) => void
  /** When the parser has read a whole head. `bodyBytes` is null for a chunked body. */
  readonly headRead: (bodyBytes: number | null, isComplete: () => boolean) => void
  /** True when a part of the next head is there, as far as that can be told. */
  readonly isReading: () => boolean
  /** How many bytes the head had that was read last; 0 where that is not known. */
  readonly headBytes: () => number
  /** What is there of the next head; Latin-1. Null when it cannot be told from a body. */
  readonly text: () => string | null
  /** True when the body of the request whose head was read last has arrived with it. */
  readonly bodyIsHere: () => boolean
}

const HEAD_END = Buffer.from('\r\n\r\n')
const NOTHING = Buffer.alloc(0)

/**
 * The parser keeps no bytes, and tells of an error only the chunk that it was found in. So they are kept here,
 * by reference, and dropped as soon as the head has been read.
 *
 * @param maxBytes how much is kept of a head that does not end.
 */
export const createHeadCapture = (maxBytes: number): HeadCapture => {
  // Null: where the next head starts is not known, as after a chunked body with something behind it.
  let pending: Buffer | null = NOTHING
  let bodyLeft = 0
  let chunked: { readonly isComplete: () => boolean } | null = null
  let endsClean = false
  let headBytes = 0

  const keep = (chunk: Buffer): void => {
    if (pending === null || pending.length >= maxBytes) return
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk])
  }

  const data = (chunk: Buffer): void => {
    if (chunked !== null) {
      if (!chunked.isComplete()) {
        endsClean = chunk.subarray(-4).equals(HEAD_END)
        return
      }
      chunked = null
      pending = endsClean ? NOTHING : null
    }
    if (bodyLeft >= chunk.length) bodyLeft -= chunk.length
    else {
      keep(bodyLeft === 0 ? chunk : chunk.subarray(bodyLeft))
      bodyLeft = 0
    }
  }

  const headRead = (bodyBytes: number | null, isComplete: () => boolean): void => {
    const end = pending === null ? -1 : pending.indexOf(HEAD_END, leadingLineEnds(pending))
    const rest = pending === null || end === -1 ? null : pending.subarray(end + HEAD_END.length)
    if (end !== -1) headBytes = end + HEAD_END.length
    // Its end was not kept.
    else headBytes = pending !== null && pending.length >= maxBytes ? pending.length : 0
    if (rest === null || bodyBytes === null) {
      pending = rest === null ? null : NOTHING
      chunked = bodyBytes === null ? { isComplete } : null
      endsClean = rest?.subarray(-4).equals(HEAD_END) === true
      return
    }
    pending = rest.length > bodyBytes ? rest.subarray(bodyBytes) : NOTHING
    bodyLeft = Math.max(0, bodyBytes - rest.length)
  }

  return {
    data,
    headRead,
    isReading: () => chunked === null && pending?.length !== 0,
    headBytes: () => headBytes,
    text: () => (chunked === null && pending !== null ? pending.toString('latin1', 0, maxBytes) : null),
    bodyIsHere: () => chunked === null && pending !== null && bodyLeft === 0,
  }
}

/** Empty lines before a request line are skipped by the parser too (RFC 9112 section 2.2). */
const leadingLineEnds = (bytes: Buffer): number => {
  let index = 0
  while (bytes[index] === 0x0d || bytes[index] === 0x0a) index += 1
  return index
}
