import { createHmac, hkdfSync, type KeyObject, timingSafeEqual } from 'node:crypto'

/** Makes and checks what tells that a text was written by a gateway with the same key, and for this very purpose. */
export interface Mac {
  readonly sign: (purpose: string, text: string) => string
  readonly isGood: (purpose: string, text: string, mac: string) => boolean
}

export const createMac = (key: Buffer): Mac => {
  const sign = (purpose: string, text: string): string =>
    createHmac('sha256', key).update(`${purpose.length}:${purpose}${text}`).digest('base64url')
  return {
    sign,
    isGood: (purpose, text, mac) => {
      const expected = Buffer.from(sign(purpose, text))
      const given = Buffer.from(mac)
      return expected.length === given.length && timingSafeEqual(expected, given)
    },
  }
}

const INFO = 'sallyport grants and marks 1'

/** From `grants.secret`. */
export const macKeyOfSecret = (secret: string): Buffer =>
  Buffer.from(hkdfSync('sha256', secret, '', INFO, 32))

/** From the key that assertions are signed with. */
export const macKeyOfPrivateKey = (key: KeyObject): Buffer => {
  const { d = '' } = key.export({ format: 'jwk' })
  return macKeyOfSecret(`assertion ${d}`)
}
