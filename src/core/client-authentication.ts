import { createPrivateKey, type JsonWebKey, type KeyObject, randomUUID, sign } from 'node:crypto'

/** How the gateway shows an authorization server that it is itself. */
export interface ClientIdentity {
  readonly clientId: string
  readonly proof: { readonly secret: string } | { readonly key: ClientKey }
  /** The `aud` of what the key signs. */
  readonly audience: string
}

/** A private key with the one algorithm that it is used for. */
export interface ClientKey {
  readonly privateKey: KeyObject
  readonly alg: 'ES256' | 'ES384' | 'ES512' | 'RS256' | 'EdDSA'
  readonly kid: string | undefined
}

/** What goes into the request. */
export interface ClientProof {
  readonly headers: Readonly<Record<string, string>>
  readonly parameters: Readonly<Record<string, string>>
}

const ASSERTION_SECONDS = 60

/**
 * Proves the client for one request: by a secret in Basic, or by a signed assertion that is used once.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1 and https://www.rfc-editor.org/rfc/rfc7523#section-3
 */
export const proveClient = ({ clientId, proof, audience }: ClientIdentity, nowMs: number): ClientProof => {
  if ('secret' in proof) {
    const pair = `${formEncoded(clientId)}:${formEncoded(proof.secret)}`
    return { headers: { authorization: `Basic ${Buffer.from(pair).toString('base64')}` }, parameters: {} }
  }
  const iat = Math.floor(nowMs / 1000)
  const times = { iat, exp: iat + ASSERTION_SECONDS, jti: randomUUID() }
  return {
    headers: {},
    parameters: {
      client_id: clientId,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: signed({ iss: clientId, sub: clientId, aud: audience, ...times }, proof.key),
    },
  }
}

const formEncoded = (text: string): string => new URLSearchParams([['', text]]).toString().slice(1)

const signed = (claims: object, { privateKey, alg, kid }: ClientKey): string => {
  const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const input = `${encode({ alg, typ: 'JWT', ...(kid === undefined ? {} : { kid }) })}.${encode(claims)}`
  const digest = alg === 'EdDSA' ? null : `sha${alg.slice(2)}`
  const signature = sign(digest, Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' })
  return `${input}.${signature.toString('base64url')}`
}

const BY_CURVE: ReadonlyMap<string, ClientKey['alg']> = new Map([
  ['prime256v1', 'ES256'],
  ['secp384r1', 'ES384'],
  ['secp521r1', 'ES512'],
])

/** Reads a private key, as PEM or as JWK; null when it is none that can be used. */
export const parseClientKey = (text: string): ClientKey | null => {
  try {
    if (!text.trimStart().startsWith('{')) return keyOf(createPrivateKey(text), undefined)
    const jwk: JsonWebKey = JSON.parse(text)
    const { kid } = jwk
    return keyOf(createPrivateKey({ key: jwk, format: 'jwk' }), typeof kid === 'string' ? kid : undefined)
  } catch {
    return null
  }
}

const keyOf = (privateKey: KeyObject, kid: string | undefined): ClientKey | null => {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = privateKey
  if (type === 'ed25519') return { privateKey, alg: 'EdDSA', kid }
  if (type === 'rsa') return { privateKey, alg: 'RS256', kid }
  const alg = type === 'ec' ? BY_CURVE.get(details?.namedCurve ?? '') : undefined
  return alg === undefined ? null : { privateKey, alg, kid }
}
