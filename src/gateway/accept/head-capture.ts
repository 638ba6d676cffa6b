/** Keeps the bytes of the request head that is being read, for the record of a request that is then refused. */
export interface HeadCapture {
  /** Before the parser sees a chunk. */
  readonly data: (chunk: Buffer) => void
  /** When the parser has read a whole head. `bodyBytes` is null for a chunked body. */
  readonly headRead: (bodyBytes: number | null, isComplete: () => boolean) => void
  /** True when a part of the next head is there; false too where that cannot be told. */
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
export const createHeadCapture = (maxBytes: number): HeadCapture => new KeptHead(maxBytes)

/** A class, since each connection has one: see `createConnection`. */
class KeptHead implements HeadCapture {
  readonly #maxBytes: number
  /** Null: where the next head starts is not known, as after a chunked body with something behind it. */
  #pending: Buffer | null = NOTHING
  #bodyLeft = 0
  #isComplete: (() => boolean) | null = null
  #endsClean = false
  #headBytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  data(chunk: Buffer): void {
    if (this.#isComplete !== null) {
      if (!this.#isComplete()) {
        this.#endsClean = chunk.subarray(-4).equals(HEAD_END)
        return
      }
      this.#isComplete = null
      this.#pending = this.#endsClean ? NOTHING : null
    }
    if (this.#bodyLeft >= chunk.length) this.#bodyLeft -= chunk.length
    else {
      this.#keep(this.#bodyLeft === 0 ? chunk : chunk.subarray(this.#bodyLeft))
      this.#bodyLeft = 0
    }
  }

  headRead(bodyBytes: number | null, isComplete: () => boolean): void {
    const pending = this.#pending
    const end = pending === null ? -1 : pending.indexOf(HEAD_END)
    const rest = pending === null || end === -1 ? null : pending.subarray(end + HEAD_END.length)
    if (end !== -1) this.#headBytes = end + HEAD_END.length
    // Its end was not kept.
    else this.#headBytes = pending !== null && pending.length >= this.#maxBytes ? pending.length : 0
    if (rest === null || bodyBytes === null) {
      this.#pending = rest === null ? null : NOTHING
      this.#isComplete = bodyBytes === null ? isComplete : null
      this.#endsClean = rest?.subarray(-4).equals(HEAD_END) === true
      return
    }
    this.#pending = rest.length > bodyBytes ? withoutLineEnds(rest.subarray(bodyBytes)) : NOTHING
    this.#bodyLeft = Math.max(0, bodyBytes - rest.length)
  }

  isReading(): boolean {
    return this.#isComplete === null && this.#pending !== null && this.#pending.length > 0
  }

  headBytes(): number {
    return this.#headBytes
  }

  text(): string | null {
    if (this.#isComplete !== null || this.#pending === null) return null
    return this.#pending.toString('latin1', 0, this.#maxBytes)
  }

  bodyIsHere(): boolean {
    return this.#isComplete === null && this.#pending !== null && this.#bodyLeft === 0
  }

  #keep(chunk: Buffer): void {
    const pending = this.#pending
    if (pending === null || pending.length >= this.#maxBytes) return
    this.#pending = pending.length === 0 ? withoutLineEnds(chunk) : Buffer.concat([pending, chunk])
  }
}

/** Empty lines before a request line are skipped by the parser too (RFC 9112 section 2.2). */
const withoutLineEnds = (bytes: Buffer): Buffer => {
  let index = 0
  while (bytes[index] === 0x0d || bytes[index] === 0x0a) index += 1
  return index === 0 ? bytes : bytes.subarray(index)
}
