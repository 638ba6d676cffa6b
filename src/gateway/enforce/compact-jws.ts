import { sign } from 'node:crypto'
import type { AssertionKey } from './assertion-key.ts'

/**
 * Makes a signer of compact ES256 signatures.
 *
 * @param typ tells apart what one key signs, so that none of it can pass for the other.
 * @see https://www.rfc-editor.org/rfc/rfc7515#section-7.1
 */
export const createJwsSigner = (key: AssertionKey, typ: string): ((payload: object) => string) => {
  const header = encode({ alg: 'ES256', typ, kid: key.kid })
  return (payload) => {
    const input = `${header}.${encode(payload)}`
    const signature = sign('sha256', Buffer.from(input), { key: key.privateKey, dsaEncoding: 'ieee-p1363' })
    return `${input}.${signature.toString('base64url')}`
  }
}

const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
