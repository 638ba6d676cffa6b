import { createHash, createSign, generateKeyPairSync, type JsonWebKey, type KeyObject } from 'node:crypto'

/** The issuer of every token of the bench. */
export const ISSUER = 'https://idp.bench.example'
/** Of every authenticator of the bench: what its engines decide by. */
export const SUBJECT = 'subject: { type: User, id: $claims.sub, properties: { groups: $claims.groups } }'
const LIFE_SECONDS = 3600

/** An ES256 key, and what it signs. */
export interface SigningKey {
  readonly jwk: JsonWebKey
  /** A compact JWS; `alg` is added to the header. */
  readonly sign: (header: object, payload: object) => string
}

const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

export const createSigningKey = (): SigningKey => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return {
    jwk: publicKey.export({ format: 'jwk' }),
    sign: (header, payload) =>
      signed(privateKey, `${encoded({ alg: 'ES256', ...header })}.${encoded(payload)}`),
  }
}

const signed = (key: KeyObject, text: string): string => {
  const signature = createSign('sha256').update(text).sign({ key, dsaEncoding: 'ieee-p1363' })
  return `${text}.${signature.toString('base64url')}`
}

/** SHA-256 in base64url. */
export const sha256 = (text: string): string => createHash('sha256').update(text).digest('base64url')

export interface Issuer {
  /** A JWK Set as JSON. */
  readonly jwks: string
  /** A valid token with these further claims; each has its own `jti`, so that no two are one credential. */
  readonly token: (subject: string, claims?: object) => string
}

const KEY_ID = 'bench-1'

/** @param use of its key, as the JWK Set says it. */
export const createIssuer = (use = 'sig'): Issuer => {
  const { jwk, sign } = createSigningKey()
  const now = Math.floor(Date.now() / 1000)
  let tokens = 0
  return {
    jwks: JSON.stringify({ keys: [{ ...jwk, kid: KEY_ID, use, ...(use === 'sig' && { alg: 'ES256' }) }] }),
    token: (subject, claims = {}) => {
      tokens += 1
      const standard = { iss: ISSUER, aud: 'bank', sub: subject, iat: now, exp: now + LIFE_SECONDS }
      const payload = { ...standard, jti: `t${tokens}`, groups: ['clerks'], ...claims }
      return sign({ typ: 'JWT', kid: KEY_ID }, payload)
    },
  }
}
