import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { type Algorithm, algorithmsOfKey } from './algorithms.ts'

/** A key that signatures are checked with. */
export interface VerificationKey {
  /** Undefined: the key is tried whatever `kid` a token names. */
  readonly kid: string | undefined
  /** What it may be used for: by its type, its curve and its own `alg`. */
  readonly algorithms: readonly Algorithm[]
  readonly material: KeyObject | Uint8Array
  /** Equal for equal keys, so that a key is known again in the next key set. */
  readonly fingerprint: string
}

export interface KeySet {
  readonly keys: readonly VerificationKey[]
  /** Why other members were left out, by their position; keys for encryption are not mentioned. */
  readonly skipped: readonly string[]
  /** True when a member holds a private or a symmetric key: it should not be in a key set at all. */
  readonly holdsSecret: boolean
}

const MOST_KEYS = 200
const LEAST_RSA_BITS = 2048
const MOST_RSA_BITS = 16_384

/** The members that make the public key, by key type. */
export const PUBLIC_MEMBERS: ReadonlyMap<string, readonly string[]> = new Map([
  ['RSA', ['n', 'e']],
  ['EC', ['crv', 'x', 'y']],
  ['OKP', ['crv', 'x']],
  ['AKP', ['alg', 'pub']],
])
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'priv', 'k']

/**
 * Reads a JSON Web Key Set.
 *
 * Keys for other uses are left out; so are those that are too weak, broken, or of an unknown type.
 *
 * @returns the keys, or what is wrong with the set as a whole, which includes having no usable key.
 * @see https://www.rfc-editor.org/rfc/rfc7517#section-5
 */
export const parseKeySet = (json: unknown): KeySet | { readonly problem: string } => {
  const members = isRecord(json) ? json.keys : undefined
  if (!Array.isArray(members)) return { problem: 'it is not a JSON object with a list of "keys"' }
  if (members.length > MOST_KEYS) return { problem: `it has more than ${MOST_KEYS} keys` }
  const keys: VerificationKey[] = []
  const skipped: string[] = []
  members.forEach((member: unknown, index) => {
    const key = isRecord(member) ? parseKey(member) : 'it is not an object'
    if (typeof key === 'string') skipped.push(`key ${index + 1}: ${key}`)
    else if (key !== null) keys.push(key)
  })
  if (keys.length === 0) return { problem: ['it has no usable key', ...skipped].join('; ') }
  return { keys, skipped, holdsSecret: members.some((member) => isRecord(member) && isSecret(member)) }
}

export type Jwk = Readonly<Record<string, unknown>>

export const isRecord = (value: unknown): value is Jwk =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const own = (jwk: Jwk, member: string): unknown => (Object.hasOwn(jwk, member) ? jwk[member] : undefined)

const isSecret = (jwk: Jwk): boolean => PRIVATE_MEMBERS.some((member) => own(jwk, member) !== undefined)

/** Null for a key that is meant for something else; a string for one that should be usable and is not. */
export const parseKey = (jwk: Jwk): VerificationKey | string | null => {
  const use = own(jwk, 'use')
  const operations = own(jwk, 'key_ops')
  if (use !== undefined && use !== 'sig') return null
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return null
  const kid = own(jwk, 'kid')
  if (kid !== undefined && typeof kid !== 'string') return 'its kid is not a string'
  if (isSecret(jwk)) return 'it is not a public key'
  const algorithms = usableFor(jwk)
  if (algorithms.length === 0) return 'its kty, crv or alg is not supported for signatures'
  const material = importKey(jwk)
  if (typeof material === 'string') return material
  return {
    kid,
    algorithms,
    material: material.key,
    fingerprint: JSON.stringify([kid, algorithms, material.jwk]),
  }
}

const usableFor = (jwk: Jwk): readonly Algorithm[] => {
  const kty = own(jwk, 'kty')
  const crv = own(jwk, 'crv')
  const alg = own(jwk, 'alg')
  if (typeof kty !== 'string' || (crv !== undefined && typeof crv !== 'string')) return []
  // An AKP key is for one algorithm only, which it must name.
  if (alg === undefined) return kty === 'AKP' ? [] : algorithmsOfKey(kty, crv)
  return algorithmsOfKey(kty, crv).filter((algorithm) => algorithm === alg)
}

const importKey = (jwk: Jwk): { readonly key: KeyObject; readonly jwk: JsonWebKey } | string => {
  const publicJwk: JsonWebKey = { kty: String(jwk.kty) }
  for (const member of PUBLIC_MEMBERS.get(String(jwk.kty)) ?? []) {
    const value = own(jwk, member)
    if (typeof value !== 'string') return `its member ${member} is not a string`
    publicJwk[member] = value
  }
  try {
    const key = createPublicKey({ key: publicJwk, format: 'jwk' })
    return weakness(key) ?? { key, jwk: publicJwk }
  } catch {
    return 'its members do not make a public key'
  }
}

const weakness = (key: KeyObject): string | null => {
  if (key.asymmetricKeyType !== 'rsa') return null
  const { modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {}
  if (modulusLength < LEAST_RSA_BITS) return `its modulus is shorter than ${LEAST_RSA_BITS} bits`
  if (modulusLength > MOST_RSA_BITS) return `its modulus is longer than ${MOST_RSA_BITS} bits`
  return publicExponent < 3n ? 'its exponent is less than 3' : null
}
