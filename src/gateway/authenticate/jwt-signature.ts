import { compactVerify } from 'jose'
import type { Clock } from '../../core/clock.ts'
import { isRefusal, type Refusal } from '../../core/refusals.ts'
import { ALGORITHMS, type Algorithm } from './algorithms.ts'
import type { VerificationKey } from './jwks.ts'
import type { ParsedJwt } from './jwt-parse.ts'
import type { KeySource, Keys } from './key-source.ts'

/** More keys than this are not tried for one token. */
const MOST_CANDIDATES = 8

const KNOWN: ReadonlyMap<string, Algorithm> = new Map(ALGORITHMS.map((algorithm) => [algorithm, algorithm]))

/** The algorithm of the token, if it is one of the accepted. */
export const acceptedAlgorithm = (token: ParsedJwt, accepted: ReadonlySet<Algorithm>): Algorithm | null => {
  const algorithm = KNOWN.get(token.alg)
  return algorithm !== undefined && accepted.has(algorithm) ? algorithm : null
}

/**
 * Finds the key that signed a token.
 *
 * A `kid` only says which keys to try. When none of them fits, a provider may be asked once more.
 *
 * @returns the key; a string that says why the signature is bad; or `authenticator_unavailable`.
 */
export const findSigner = async (
  token: ParsedJwt,
  algorithm: Algorithm,
  source: KeySource,
  clock: Clock,
): Promise<VerificationKey | Refusal | string> => {
  const generation = source.generation()
  const keys = await source.current(clock.nowMs())
  if (isRefusal(keys)) return keys
  const signer = await tryKeys(token, algorithm, keys)
  if (typeof signer !== 'string') return signer
  const named = token.kid !== undefined && keys.some((key) => key.kid === token.kid)
  if (named) return signer
  const newer = await source.newer(generation, clock.nowMs())
  if (newer === keys || isRefusal(newer)) return isRefusal(newer) ? newer : signer
  return tryKeys(token, algorithm, newer)
}

const tryKeys = async (
  token: ParsedJwt,
  algorithm: Algorithm,
  keys: Keys,
): Promise<VerificationKey | string> => {
  const candidates = keys.filter(
    ({ kid, algorithms }) =>
      algorithms.includes(algorithm) && (kid === undefined || token.kid === undefined || kid === token.kid),
  )
  if (candidates.length === 0) return 'no key of the key set has its kid and serves its alg'
  for (const key of candidates.slice(0, MOST_CANDIDATES)) {
    if (await isSignedBy(token, algorithm, key)) return key
  }
  return 'the signature does not verify'
}

/** Does not check: that the key may be used for the algorithm. */
export const isSignedBy = async (
  token: Pick<ParsedJwt, 'compact'>,
  algorithm: Algorithm,
  key: VerificationKey,
): Promise<boolean> => {
  try {
    await compactVerify(token.compact, key.material, { algorithms: [algorithm] })
    return true
  } catch {
    // Whatever the reason, the signature was not shown to be good.
    return false
  }
}
