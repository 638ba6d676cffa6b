import {
  constants,
  createHash,
  createHmac,
  createPublicKey,
  type KeyObject,
  timingSafeEqual,
  type VerifyKeyObjectInput,
  verify,
} from 'node:crypto'
import type { JsonValue } from '../../../core/json.ts'
import { parseStrictJson } from '../../../core/strict-json.ts'
import { isJsonObject } from './answer-context.ts'
import type { BundleFiles } from './bundle-tar.ts'

const HASHES = { '256': 'sha256', '384': 'sha384', '512': 'sha512' } as const

export const BUNDLE_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'HS256',
  'HS384',
  'HS512',
] as const
export type BundleAlgorithm = (typeof BUNDLE_ALGORITHMS)[number]

/** Who may sign a bundle, and how. */
export interface BundleVerification {
  readonly algorithm: BundleAlgorithm
  /** Checks a signature over bytes. */
  readonly verifies: (signed: Buffer, signature: Buffer) => boolean
  /** What the signature must say of itself, where that is configured. */
  readonly scope: string | null
}

/** @param key PEM of a public key or certificate, or the secret of an HS algorithm. @throws when it is neither. */
export const bundleVerification = (
  algorithm: BundleAlgorithm,
  key: string | Buffer,
  scope: string | null,
): BundleVerification => {
  // One of the three: the list of algorithms has no others.
  const hash = HASHES[algorithm.slice(2) as keyof typeof HASHES]
  if (algorithm.startsWith('HS')) {
    const verifies = (signed: Buffer, signature: Buffer): boolean => {
      const own = createHmac(hash, key).update(signed).digest()
      return own.length === signature.length && timingSafeEqual(own, signature)
    }
    return { algorithm, verifies, scope }
  }
  const publicKey = createPublicKey(key)
  const wanted = algorithm.startsWith('ES') ? 'ec' : 'rsa'
  if (publicKey.asymmetricKeyType !== wanted) throw new Error(`a key for ${algorithm} was expected`)
  const input = keyInput(algorithm, publicKey)
  return { algorithm, verifies: (signed, signature) => verify(hash, signed, input, signature), scope }
}

const keyInput = (algorithm: BundleAlgorithm, key: KeyObject): VerifyKeyObjectInput => {
  if (algorithm.startsWith('ES')) return { key, dsaEncoding: 'ieee-p1363' }
  if (algorithm.startsWith('RS')) return { key, padding: constants.RSA_PKCS1_PADDING }
  return {
    key,
    padding: constants.RSA_PKCS1_PSS_PADDING,
    saltLength: constants.RSA_PSS_SALTLEN_DIGEST,
  }
}

const SIGNATURES = '/.signatures.json'

/**
 * Checks that a bundle holds exactly the files that were signed, as they were signed.
 *
 * @returns what is wrong; null when nothing is.
 * @see https://www.openpolicyagent.org/docs/management-bundles#signing
 */
export const signatureProblem = (files: BundleFiles, verification: BundleVerification): string | null => {
  const document = parsed(files.get(SIGNATURES))
  const signatures = isJsonObject(document) ? document.signatures : undefined
  if (!Array.isArray(signatures) || signatures.length !== 1 || typeof signatures[0] !== 'string') {
    return 'it is not signed: .signatures.json with one signature was expected'
  }
  const payload = verifiedPayload(signatures[0], verification)
  if (!isJsonObject(payload)) return 'its signature is not by the configured key and algorithm'
  const { files: signed, scope } = payload
  if (verification.scope !== null && scope !== verification.scope) return 'its signature has another scope'
  if (!Array.isArray(signed)) return 'its signature names no files'
  const unsigned = new Set([...files.keys()].filter((path) => path !== SIGNATURES))
  for (const entry of signed) {
    if (!isJsonObject(entry) || typeof entry.name !== 'string') return 'its signature names no files'
    const path = `/${entry.name.replace(/^\/+/, '')}`
    const content = files.get(path)
    if (content === undefined) return `the signed file ${path} is not in it`
    if (digestOf(path, content, entry.algorithm) !== entry.hash)
      return `the file ${path} is not as it was signed`
    unsigned.delete(path)
  }
  const [extra] = unsigned
  return extra === undefined ? null : `the file ${extra} is not signed`
}

const parsed = (content: Buffer | string | undefined): JsonValue | undefined => {
  if (content === undefined) return undefined
  const result = parseStrictJson(content.toString('utf8'), { caseInsensitiveDuplicates: false })
  return 'value' in result ? result.value : undefined
}

const verifiedPayload = (jws: string, { algorithm, verifies }: BundleVerification): JsonValue | undefined => {
  const [head, payload, signature, more] = jws.split('.')
  if (head === undefined || payload === undefined || signature === undefined || more !== undefined)
    return undefined
  const header = parsed(Buffer.from(head, 'base64url'))
  // The key says by which algorithm, never the signature.
  if (!isJsonObject(header) || header.alg !== algorithm || header.crit !== undefined) return undefined
  const good = verifies(Buffer.from(`${head}.${payload}`), Buffer.from(signature, 'base64url'))
  return good ? parsed(Buffer.from(payload, 'base64url')) : undefined
}

const DIGESTS: ReadonlyMap<unknown, string> = new Map([
  [undefined, 'sha256'],
  ['SHA-256', 'sha256'],
  ['SHA-384', 'sha384'],
  ['SHA-512', 'sha512'],
])

/** OPA hashes documents by their content, whatever blanks and order of keys they are written with. */
const digestOf = (path: string, content: Buffer, algorithm: JsonValue | undefined): string | null => {
  const digest = DIGESTS.get(algorithm)
  if (digest === undefined) return null
  const hash = createHash(digest)
  if (!path.endsWith('/data.json') && !path.endsWith('/.manifest')) return hash.update(content).digest('hex')
  try {
    return hash.update(sortedText(JSON.parse(content.toString('utf8')))).digest('hex')
  } catch {
    return null
  }
}

const sortedText = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(sortedText).join(',')}]`
  if (typeof value !== 'object' || value === null) return goText(value)
  const members = Object.entries(value).sort(([left], [right]) =>
    Buffer.compare(Buffer.from(left), Buffer.from(right)),
  )
  return `{${members.map(([key, inner]) => `${goText(key)}:${sortedText(inner)}`).join(',')}}`
}

/** As Go's encoding/json writes it. */
const goText = (value: unknown): string =>
  JSON.stringify(value).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029')
