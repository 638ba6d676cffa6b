import { createHmac, hash, hkdfSync, randomBytes, scryptSync } from 'node:crypto'
import { CompactEncrypt, compactDecrypt } from 'jose'
import { isJsonObject, type JsonObject, type JsonValue } from '../../../core/json.ts'

/** Hides values from those who keep them for us, and notices when they were changed. */
export interface Sealer {
  readonly seal: (value: JsonObject) => Promise<string>
  /** Null when it was not sealed by this sealer, or by one with the same secret and purpose. */
  readonly open: (sealed: string) => Promise<JsonObject | null>
  /** What a text is called where others can read: by the secret that seals first, then by the older ones. */
  readonly pseudonyms: (text: string) => readonly string[]
}

interface Key {
  readonly id: string
  readonly bytes: Uint8Array
  /** Of pseudonyms. */
  readonly nameBytes: Uint8Array
}

/** Sealed for one authenticator and one provider: what another one has said counts for nothing here. */
export const sealingPurpose = (
  what: 'session' | 'login',
  { name, issuer, clientId }: { readonly name: string; readonly issuer: string; readonly clientId: string },
): string => JSON.stringify([what, name, issuer, clientId])

/**
 * Makes a sealer: JWE in compact form, `dir` with `A256GCM`.
 *
 * @param secrets the first one seals, all of them open.
 * @param purpose nothing that was sealed for another purpose is opened.
 * Does not check: how old the value is.
 * @see https://www.rfc-editor.org/rfc/rfc7516
 */
export const createSealer = (
  secrets: readonly [Uint8Array, ...(readonly Uint8Array[])],
  purpose: string,
): Sealer => {
  const [first] = secrets
  const current = keyOf(first, purpose)
  const keys = new Map(secrets.map((secret) => keyOf(secret, purpose)).map((key) => [key.id, key]))
  const header = { alg: 'dir', enc: 'A256GCM', kid: current.id }
  return {
    seal: (value) =>
      new CompactEncrypt(Buffer.from(JSON.stringify(value)))
        .setProtectedHeader(header)
        .encrypt(current.bytes),
    open: async (sealed) => {
      const key = keys.get(keyIdOf(sealed))
      if (key === undefined) return null
      try {
        const { plaintext } = await compactDecrypt(sealed, key.bytes, ONE_WAY)
        const value: JsonValue = JSON.parse(Buffer.from(plaintext).toString('utf8'))
        return isJsonObject(value) ? value : null
      } catch {
        // Whatever the reason, it was not shown to be ours.
        return null
      }
    },
    pseudonyms: (text) =>
      [...keys.values()].map(({ nameBytes }) =>
        createHmac('sha256', nameBytes).update(text).digest('base64url'),
      ),
  }
}

const ONE_WAY = { keyManagementAlgorithms: ['dir'], contentEncryptionAlgorithms: ['A256GCM'] }

const keyOf = (secret: Uint8Array, purpose: string): Key => {
  const derive = (info: string): Uint8Array =>
    new Uint8Array(hkdfSync('sha256', secret, 'sallyport', hash('sha256', info), 32))
  const bytes = derive(purpose)
  return { id: hash('sha256', bytes, 'base64url').slice(0, 8), bytes, nameBytes: derive(`names ${purpose}`) }
}

const keyIdOf = (sealed: string): string => {
  try {
    const header: unknown = JSON.parse(Buffer.from(sealed.split('.', 1)[0] ?? '', 'base64url').toString())
    const kid: unknown = typeof header === 'object' && header !== null ? Reflect.get(header, 'kid') : null
    return typeof kid === 'string' ? kid : ''
  } catch {
    return ''
  }
}

const LEAST_DERIVED_CHARACTERS = 16

/**
 * The secret that seals sessions where none is configured: derived from that of the client, slowly, so that it is
 * the same in every process; null when that is too short to be guessed at, or missing.
 */
export const deriveSecret = (clientSecret: string, clientId: string): Uint8Array | null =>
  clientSecret.length < LEAST_DERIVED_CHARACTERS
    ? null
    : scryptSync(clientSecret, `sallyport session ${clientId}`, 32)

export const makeSecret = (): Uint8Array => randomBytes(32)
