/** The signature algorithms that jose verifies with a public key; ML-DSA only where the runtime has it. */
export const ASYMMETRIC_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
  'ML-DSA-44',
  'ML-DSA-65',
  'ML-DSA-87',
] as const

/** The algorithms of a shared secret. */
export const SYMMETRIC_ALGORITHMS = ['HS256', 'HS384', 'HS512'] as const

/** Every algorithm that can be configured; `none` is not one. */
export const ALGORITHMS = [...ASYMMETRIC_ALGORITHMS, ...SYMMETRIC_ALGORITHMS] as const

export type Algorithm = (typeof ALGORITHMS)[number]

const SYMMETRIC: ReadonlySet<string> = new Set(SYMMETRIC_ALGORITHMS)

export const isSymmetric = (algorithm: Algorithm): boolean => SYMMETRIC.has(algorithm)

const BITS = new Map<Algorithm, number>([
  ['HS256', 256],
  ['HS384', 384],
  ['HS512', 512],
])

/**
 * The least length of a secret, in bytes; 0 for algorithms without one.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7518#section-3.2
 */
export const leastSecretBytes = (algorithm: Algorithm): number => (BITS.get(algorithm) ?? 0) / 8

const RSA: readonly Algorithm[] = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']

// By key type and curve, so that no key is ever tried for an algorithm that it was not made for.
const BY_KEY: ReadonlyMap<string, readonly Algorithm[]> = new Map<string, readonly Algorithm[]>([
  ['RSA', RSA],
  ['EC P-256', ['ES256']],
  ['EC P-384', ['ES384']],
  ['EC P-521', ['ES512']],
  ['OKP Ed25519', ['EdDSA', 'Ed25519']],
  ['AKP', ['ML-DSA-44', 'ML-DSA-65', 'ML-DSA-87']],
])

/** The algorithms that a public key of this type and curve can serve; none for `oct` and unknown ones. */
export const algorithmsOfKey = (kty: string, crv: string | undefined): readonly Algorithm[] =>
  BY_KEY.get(crv === undefined ? kty : `${kty} ${crv}`) ?? []
