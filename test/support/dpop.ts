import { hash } from 'node:crypto'
import { CompactSign, calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose'

export interface ProofOptions {
  readonly method?: string
  readonly uri?: string
  readonly token?: string
  /** Members of the payload that replace or add; undefined leaves one out. */
  readonly claims?: Readonly<Record<string, unknown>>
  /** The same for the header. */
  readonly header?: Readonly<Record<string, unknown>>
}

/** A caller's key for DPoP. */
export interface DpopKey {
  readonly jwk: JWK
  readonly privateJwk: JWK
  /** What `cnf.jkt` holds of a token that is bound to it. */
  readonly jkt: string
  /** A proof for GET of http://example.com/, made at `nowSeconds`. */
  readonly prove: (nowSeconds: number, options?: ProofOptions) => Promise<string>
}

let proofs = 0

export const makeDpopKey = async (alg = 'ES256'): Promise<DpopKey> => {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  const jwk = await exportJWK(publicKey)
  return {
    jwk,
    privateJwk: await exportJWK(privateKey),
    jkt: await calculateJwkThumbprint(jwk),
    prove: (nowSeconds, options = {}) => {
      const { method = 'GET', uri = 'http://example.com/', token = '', claims = {}, header = {} } = options
      proofs += 1
      const ath = hash('sha256', token, 'base64url')
      const payload = { jti: `proof-${proofs}`, htm: method, htu: uri, iat: nowSeconds, ath, ...claims }
      return new CompactSign(Buffer.from(JSON.stringify(payload)))
        .setProtectedHeader({ alg, typ: 'dpop+jwt', jwk, ...header })
        .sign(privateKey)
    },
  }
}
