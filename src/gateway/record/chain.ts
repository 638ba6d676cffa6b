import { hash } from 'node:crypto'

/** The newest line of one chain. */
export interface ChainEnd {
  /** Name of the file, without its folder. */
  readonly file: string
  readonly writer: string
  readonly seq: number
  /** `sha256:<hex>` of the line's bytes without its newline: what the next line's `prev` will be. */
  readonly hash: string
}

/** The fields that tie a line to the one before it. */
export interface Link {
  readonly writer: string
  /** Counts from 1. */
  readonly seq: number
  readonly prev: string
}

/** `sha256:<hex>` of some bytes. */
export const digest = (bytes: Buffer): string => `sha256:${hash('sha256', bytes, 'hex')}`

/** `prev` of the first line of a chain: the digest of nothing. */
export const GENESIS = digest(Buffer.alloc(0))

/**
 * What takes the place of the brace at the end of a line, and ties it to the line before.
 *
 * The line is a JSON object whose last field is `writer`.
 */
export const linkEnd = (seq: number, prev: string): string => `,"seq":${seq},"prev":"${prev}"}`

/** A writer's name and two numbers fit in this many bytes from the end of a line. */
const TAIL_BYTES = 1024

// Quotes inside of JSON strings are escaped, so that this can only match fields, and only the line's last ones.
const LINK = /"writer":"((?:[^"\\]|\\.)*)","seq":([1-9]\d{0,15}),"prev":"(sha256:[0-9a-f]{64})"\}$/

/**
 * Reads the link of a line without parsing all of it.
 *
 * Does not check that the rest of the line is JSON.
 *
 * @returns null when the line does not end with the fields of a chain.
 */
export const readLink = (line: Buffer): Link | null => {
  const match = LINK.exec(line.toString('utf8', Math.max(0, line.length - TAIL_BYTES)))
  if (match === null) return null
  const [, writer = '', seq = '', prev = ''] = match
  return { writer, seq: Number(seq), prev }
}
