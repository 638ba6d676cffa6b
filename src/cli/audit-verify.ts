import { readFileSync } from 'node:fs'
import { createLocalJWKSet, errors, type JSONWebKeySet } from 'jose'
import { formatFinding } from '../config/format-finding.ts'
import { errorCode } from '../gateway/record/error-code.ts'
import { type GivenHead, readGivenHeads } from '../gateway/record/given-heads.ts'
import type { HeadResult } from '../gateway/record/head-checks.ts'
import {
  type ChainSummary,
  type KnownHeads,
  type Verification,
  verifyLogs,
} from '../gateway/record/verify.ts'
import { type CommandIo, EXIT } from './io.ts'

export interface AuditVerifyOptions {
  /** Parts of one chain, several chains, or both. */
  readonly files: readonly string[]
  /** A head in any of its forms, or the path of a file of heads. */
  readonly head?: string
  /** The head of what was deleted before the logs begin, likewise. */
  readonly from?: string
  /** The path of a JWK set that signed heads are verified with. */
  readonly jwks?: string
  readonly json: boolean
}

/**
 * Verifies decision logs and prints what was found: findings one a line, then a summary of each chain and head.
 *
 * @returns 0 when the chains are whole, 1 with findings, 2 when a file or the head cannot be read.
 */
export const auditVerify = async (
  options: AuditVerifyOptions,
  io: Pick<CommandIo, 'out' | 'err'>,
): Promise<number> => {
  const known = await knownHeads(options)
  if (typeof known === 'string') {
    io.err(`sallyport audit verify: ${known}\n`)
    return EXIT.usage
  }
  const verification = await verifyLogs(options.files, known)
  if ('unreadable' in verification) {
    io.err(`sallyport audit verify: ${verification.unreadable} cannot be read: ${verification.code}\n`)
    return EXIT.usage
  }
  io.out(options.json ? `${JSON.stringify(verification)}\n` : asText(verification))
  return verification.findings.length === 0 ? EXIT.ok : EXIT.findings
}

/** The heads, or what is wrong with them. */
const knownHeads = async ({ head, from, jwks }: AuditVerifyOptions): Promise<KnownHeads | string> => {
  const keys = jwks === undefined ? null : readJwks(jwks)
  if (typeof keys === 'string') return keys
  const heads = await headsOf(head, keys)
  if (typeof heads === 'string') return heads
  const deleted = await headsOf(from, keys)
  if (typeof deleted === 'string') return deleted
  if (deleted.some(({ seq }) => seq === null)) return '--from needs the seq too: seq:sha256:…'
  return { heads, from: deleted }
}

const headsOf = async (
  text: string | undefined,
  keys: JSONWebKeySet | null,
): Promise<readonly GivenHead[] | string> => {
  if (text === undefined) return []
  const heads = await readGivenHeads(text, keys)
  return 'message' in heads ? heads.message : heads
}

const readJwks = (path: string): JSONWebKeySet | string => {
  try {
    const keys: JSONWebKeySet = JSON.parse(readFileSync(path, 'utf8'))
    createLocalJWKSet(keys)
    return keys
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof errors.JWKSInvalid) return `${path} is not a JWK set`
    return `${path} cannot be read: ${errorCode(error)}`
  }
}

// A log that was tampered with must not write to the terminal.
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g

/** Findings as every command prints them, then a line for each chain and each head. */
const asText = ({ findings, chains, heads }: Verification): string => {
  const lines = [
    ...findings.map((finding) => formatFinding(finding)),
    ...chains.map(chainText),
    ...(chains.length === 0 ? ['no records'] : []),
    ...heads.map(headText),
    ...(heads.length === 0
      ? ['no --head was given: what was cut off at the end, or rewritten as a whole, is not seen']
      : []),
  ]
  return lines.map((line) => `${line.replaceAll(CONTROL, '?')}\n`).join('')
}

const chainText = ({ files, records, intact, firstSeq, lastSeq, head, writers }: ChainSummary): string => {
  const state = intact ? 'chain intact' : 'chain BROKEN'
  const by = writers.length > 1 ? `, by ${writers.length} writers: ${writers.join(' ')}` : ''
  return `${files.join(' ')}: ${records} records, ${state} from seq ${firstSeq} to ${lastSeq}, head ${lastSeq}:${head}${by}`
}

const headText = ({ seq, hash, signature, outcome, recordsAfter = 0 }: HeadResult): string => {
  const head = seq === null ? hash : `${seq}:${hash}`
  const after = recordsAfter > 0 ? `, ${recordsAfter} later records are not covered by it` : ''
  return `head ${head}: ${OUTCOMES[outcome]}${after}; ${SIGNATURES[signature]}`
}

const OUTCOMES: Readonly<Record<HeadResult['outcome'], string>> = {
  matched: 'matches',
  contradicted: 'does NOT match',
  missing: 'NOT found',
  elsewhere: 'is of a file that was not given',
  refused: 'refused',
}

const SIGNATURES: Readonly<Record<GivenHead['signature'], string>> = {
  verified: 'its signature is valid',
  unverified: 'its signature was not checked (no --jwks)',
  invalid: 'its signature is NOT valid',
  none: 'it is not signed',
}
