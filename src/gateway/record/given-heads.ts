import { closeSync, openSync } from 'node:fs'
import { compactVerify, createLocalJWKSet, decodeJwt, errors, type JSONWebKeySet } from 'jose'
import { z } from 'zod'
import { errorCode } from './error-code.ts'
import { readLines } from './read-lines.ts'

/** The end of a chain at some time, as it was kept elsewhere. */
export interface GivenHead {
  /** `sha256:<hex>`. */
  readonly hash: string
  readonly seq: number | null
  readonly writer: string | null
  readonly file: string | null
  readonly signature: 'verified' | 'unverified' | 'invalid' | 'none'
}

/** A head that cannot be read; `message` says why. */
export interface BadHead {
  readonly message: string
}

const HASH = /^sha256:[0-9a-f]{64}$/
const SEQ_AND_HASH = /^(\d{1,16}):(sha256:[0-9a-f]{64})$/
const COMPACT_JWS = /^[\w-]+\.[\w-]+\.[\w-]+$/
/** Longer lines of a log are not heads. */
const MAX_HEAD_BYTES = 16_384

const headSchema = z.object({
  hash: z.string().regex(HASH),
  seq: z.int().positive().optional(),
  writer: z.string().optional(),
  file: z.string().optional(),
  jws: z.string().regex(COMPACT_JWS).optional(),
})

/** A head as it was written down, its signature not looked at. */
interface Spelling extends Omit<GivenHead, 'signature'> {
  readonly jws: string | null
}

/**
 * Reads a head in any of its forms: `sha256:…`, `<seq>:sha256:…`, JSON, a compact JWS, or the path of a file of
 * those, such as the process log, in which the last one of each chain counts.
 *
 * @param jwks the published keys; null: signatures are not checked.
 */
export const readGivenHeads = async (
  text: string,
  jwks: JSONWebKeySet | null,
): Promise<readonly GivenHead[] | BadHead> => {
  const spelled = spellings(text.trim())
  const found = spelled.length > 0 ? spelled : fromFile(text)
  if ('message' in found) return found
  return Promise.all(found.map((spelling) => checked(spelling, jwks)))
}

const spellings = (text: string): readonly Spelling[] => {
  if (HASH.test(text)) return [{ hash: text, seq: null, writer: null, file: null, jws: null }]
  const [, seq, hash] = SEQ_AND_HASH.exec(text) ?? []
  if (hash !== undefined) return [{ hash, seq: Number(seq), writer: null, file: null, jws: null }]
  if (COMPACT_JWS.test(text)) return fromJws(text)
  return /^[{[]/.test(text) ? fromJson(parseJson(text)) : []
}

/** A head, a list of them, or what holds them: a line of the process log, an answer of the admin port. */
const fromJson = (value: unknown): readonly Spelling[] => {
  if (typeof value === 'string') return spellings(value)
  if (typeof value !== 'object' || value === null) return []
  if (Array.isArray(value)) return value.flatMap(fromJson)
  if ('auditHead' in value) return fromJson(value.auditHead)
  if ('heads' in value) return fromJson(value.heads)
  const head = headSchema.safeParse(value)
  if (!head.success) return []
  const { hash, seq = null, writer = null, file = null, jws } = head.data
  return jws === undefined ? [{ hash, seq, writer, file, jws: null }] : fromJws(jws)
}

/** What is signed counts, not what stands beside it. */
const fromJws = (jws: string): readonly Spelling[] => {
  try {
    const head = headSchema.safeParse(decodeJwt(jws))
    if (!head.success) return []
    const { hash, seq = null, writer = null, file = null } = head.data
    return [{ hash, seq, writer, file, jws }]
  } catch (error) {
    if (error instanceof errors.JOSEError) return []
    throw error
  }
}

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

const fromFile = (path: string): readonly Spelling[] | BadHead => {
  const newest = new Map<string, Spelling>()
  let whole = ''
  try {
    const fd = openSync(path, 'r')
    try {
      readLines(fd, ({ bytes }) => {
        if (bytes === null || bytes.length > MAX_HEAD_BYTES) return true
        const line = bytes.toString('utf8').trim()
        if (whole.length < MAX_HEAD_BYTES) whole += `${line}\n`
        for (const head of spellings(line)) newest.set(chainOf(head), head)
        return true
      })
    } finally {
      closeSync(fd)
    }
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error
    return {
      message: `the head is neither a hash, JSON, a signed head nor a file that can be read (${errorCode(error)})`,
    }
  }
  // JSON that was saved with line breaks.
  const found = newest.size > 0 ? [...newest.values()] : spellings(whole.trim())
  return found.length > 0 ? found : { message: `${path} holds no head` }
}

const chainOf = ({ file, writer }: Spelling): string => JSON.stringify([file, writer])

const checked = async ({ jws, ...head }: Spelling, jwks: JSONWebKeySet | null): Promise<GivenHead> => {
  if (jws === null) return { ...head, signature: 'none' }
  if (jwks === null) return { ...head, signature: 'unverified' }
  try {
    await compactVerify(jws, createLocalJWKSet(jwks), { algorithms: ['ES256'] })
    return { ...head, signature: 'verified' }
  } catch (error) {
    if (error instanceof errors.JOSEError) return { ...head, signature: 'invalid' }
    throw error
  }
}
