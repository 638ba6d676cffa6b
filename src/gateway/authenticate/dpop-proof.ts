import { hash } from 'node:crypto'
import { canonicalTarget, isNotCanonical } from '../../core/canonical-target.ts'
import { isJsonObject, type JsonObject } from '../../core/json.ts'
import type { CanonicalRequest } from '../../core/request.ts'
import { type Algorithm, ASYMMETRIC_ALGORITHMS } from './algorithms.ts'
import type { Presented } from './authenticator.ts'
import { type Jwk, PUBLIC_MEMBERS, parseKey, type VerificationKey } from './jwks.ts'
import { parseJwt } from './jwt-parse.ts'
import { acceptedAlgorithm, isSignedBy } from './jwt-signature.ts'

/** What a proof is compared with. */
export interface ProofRules {
  readonly maxAgeMs: number
  readonly toleranceMs: number
}

/** A proof that is good for this request, apart from having been used before. */
export interface GoodProof {
  readonly jti: string
  readonly nonce: string | null
  /** Milliseconds since the epoch, from when on it is too old. */
  readonly untilMs: number
}

const ALGORITHMS: ReadonlySet<Algorithm> = new Set(ASYMMETRIC_ALGORITHMS)

const MOST_PROOF_LENGTH = 8192
const MOST_JTI_LENGTH = 256

/**
 * Checks a DPoP proof against the request that it came with and the token that it is for.
 *
 * @param jkt the thumbprint of the key that the token is bound to.
 * @returns the proof, or why it is none, without any part of it.
 * Does not check: whether it was used before, and its nonce.
 * @see https://www.rfc-editor.org/rfc/rfc9449#section-4.3
 */
export const checkProof = async (
  presented: Presented,
  request: CanonicalRequest,
  jkt: string,
  rules: ProofRules,
  nowMs: number,
): Promise<GoodProof | string> => {
  const compact = proofHeader(request)
  if (typeof compact !== 'object') return compact
  const proof = parseJwt(compact.value)
  if (typeof proof === 'string') return `the DPoP proof: ${proof}`
  if (proof.typ !== 'dpop+jwt') return 'the typ of the DPoP proof is not dpop+jwt'
  const algorithm = acceptedAlgorithm(proof, ALGORITHMS)
  if (algorithm === null) return 'the alg of the DPoP proof is not accepted'
  const key = keyOf(proof.header)
  if (typeof key === 'string') return key
  if (!key.key.algorithms.includes(algorithm)) return 'the key of the DPoP proof is not one for its alg'
  if (key.thumbprint !== jkt) return 'the DPoP proof is by another key than the token is bound to'
  const checked = checkClaims(proof.claims, presented, request, rules, nowMs)
  if (typeof checked === 'string') return checked
  return (await isSignedBy(proof, algorithm, key.key)) ? checked : 'the DPoP proof is not signed by its key'
}

const proofHeader = ({ names, headers }: CanonicalRequest): { readonly value: string } | string => {
  const index = names.indexOf('dpop')
  if (index < 0) return 'there is no DPoP header'
  if (names.includes('dpop', index + 1)) return 'there is more than one DPoP header'
  const value = headers[2 * index + 1] ?? ''
  return value.length > MOST_PROOF_LENGTH ? 'the DPoP proof is too long' : { value }
}

const keyOf = ({
  jwk,
}: JsonObject): { readonly key: VerificationKey; readonly thumbprint: string } | string => {
  if (!isJsonObject(jwk)) return 'the DPoP proof has no jwk'
  const key = parseKey(jwk)
  if (key === null) return 'the jwk of the DPoP proof is not for signatures'
  if (typeof key === 'string') return `the jwk of the DPoP proof: ${key}`
  return { key, thumbprint: jwkThumbprint(jwk) }
}

/** @see https://www.rfc-editor.org/rfc/rfc7638#section-3 */
export const jwkThumbprint = (jwk: Jwk): string => {
  const members = [...(PUBLIC_MEMBERS.get(String(jwk.kty)) ?? []), 'kty'].sort()
  return hash(
    'sha256',
    JSON.stringify(Object.fromEntries(members.map((name) => [name, jwk[name]]))),
    'base64url',
  )
}

const checkClaims = (
  { jti, htm, htu, iat, ath, nonce }: JsonObject,
  { digest }: Presented,
  request: CanonicalRequest,
  { maxAgeMs, toleranceMs }: ProofRules,
  nowMs: number,
): GoodProof | string => {
  if (typeof jti !== 'string' || jti === '' || jti.length > MOST_JTI_LENGTH) {
    return 'the jti of the DPoP proof is not a string of 1 to 256 characters'
  }
  if (htm !== request.method) return 'the DPoP proof is for another method (htm)'
  if (typeof htu !== 'string' || !isForTarget(htu, request)) return 'the DPoP proof is for another URI (htu)'
  if (typeof iat !== 'number' || !Number.isFinite(iat)) return 'the iat of the DPoP proof is not a number'
  if (iat * 1000 > nowMs + toleranceMs) return 'the DPoP proof was made in the future (iat)'
  const untilMs = iat * 1000 + maxAgeMs + toleranceMs
  if (nowMs >= untilMs) return 'the DPoP proof is too old (iat)'
  if (ath !== Buffer.from(digest, 'hex').toString('base64url')) {
    return 'the DPoP proof is for another token (ath)'
  }
  if (nonce !== undefined && typeof nonce !== 'string') return 'the nonce of the DPoP proof is not a string'
  return { jti, nonce: nonce ?? null, untilMs }
}

const URI = /^(https?):\/\/([^/?#]*)([^?#]*)/i

/**
 * True when the URI is that of the request, as the caller spelled it or in its one canonical spelling.
 *
 * Query and fragment are not compared.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9449#section-4.3 (9.)
 */
const isForTarget = (htu: string, { scheme, authority, originalTarget, path }: CanonicalRequest): boolean => {
  const [, itsScheme = '', itsAuthority = '', rest = ''] = URI.exec(htu) ?? []
  if (itsScheme.toLowerCase() !== scheme) return false
  if (withoutDefaultPort(itsAuthority, scheme) !== withoutDefaultPort(authority, scheme)) return false
  const itsPath = rest === '' ? '/' : rest
  const absolute = URI.exec(originalTarget)
  const original = absolute === null ? (originalTarget.split('?', 1)[0] ?? '') : (absolute[3] ?? '')
  if (itsPath === (original === '' ? '/' : original)) return true
  const canonical = canonicalTarget(itsPath)
  return !isNotCanonical(canonical) && canonical.path === path
}

const withoutDefaultPort = (authority: string, scheme: 'http' | 'https'): string =>
  authority.toLowerCase().replace(scheme === 'https' ? /:443$/ : /:80$/, '')
