import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto'
import type { Preparation } from '../../core/settings.ts'
import type { AssertionConfig } from './config.ts'

/** What assertions are signed with, and what they are verified with. */
export interface AssertionKey {
  readonly privateKey: KeyObject
  /** The thumbprint of the public key. */
  readonly kid: string
  /** The JWK set as JSON; public parts only. */
  readonly jwks: string
}

/** How assertions are made. */
export interface AssertionSettings {
  readonly issuer: string
  readonly ttlMs: number
  readonly key: AssertionKey
}

/**
 * Reads and checks the key while the configuration is loaded; mistakes are reported at `keyFile`.
 *
 * @returns a function to call once nothing was reported; its key is always the same one, and without `keyFile` is
 * made on the first call.
 */
export const prepareAssertion = (
  config: AssertionConfig,
  preparation: Pick<Preparation, 'readFile' | 'report'>,
): (() => AssertionSettings) => {
  let key = config.keyFile === undefined ? null : readKey(config.keyFile, preparation)
  return () => {
    key ??= fromPrivate(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)
    return { issuer: config.issuer, ttlMs: config.ttl, key }
  }
}

const readKey = (
  path: string,
  preparation: Pick<Preparation, 'readFile' | 'report'>,
): AssertionKey | null => {
  const at = ['keyFile']
  const content = preparation.readFile(path, at)
  if (content === null) return null
  const report = (message: string): null => {
    preparation.report({ path: at, message, rule: 'assertion-key' })
    return null
  }
  const privateKey = parsePrivateKey(content.toString('utf8').trim())
  if (privateKey === null)
    return report('the file does not hold a private key as JWK or PEM without a passphrase')
  if (privateKey.asymmetricKeyType !== 'ec' || privateKey.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    return report('assertions are signed with ES256, so the key must be on the curve P-256')
  }
  if (!belongTogether(privateKey)) return report('the public part of the key is not that of its private part')
  return fromPrivate(privateKey)
}

/** A JWK has both parts, and nobody has compared them. */
const belongTogether = (privateKey: KeyObject): boolean => {
  const probe = Buffer.from('sallyport')
  return verify('sha256', probe, createPublicKey(privateKey), sign('sha256', probe, privateKey))
}

/** Null for anything that is not a private key; what is wrong with it might quote it. */
const parsePrivateKey = (text: string): KeyObject | null => {
  try {
    return createPrivateKey(text.startsWith('{') ? { key: JSON.parse(text), format: 'jwk' } : text)
  } catch {
    return null
  }
}

const fromPrivate = (privateKey: KeyObject): AssertionKey => {
  const { crv, kty, x, y } = createPublicKey(privateKey).export({ format: 'jwk' })
  // These members in this order: https://www.rfc-editor.org/rfc/rfc7638#section-3.2
  const kid = createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url')
  return {
    privateKey,
    kid,
    jwks: JSON.stringify({ keys: [{ kty, crv, x, y, kid, use: 'sig', alg: 'ES256' }] }),
  }
}
