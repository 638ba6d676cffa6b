// Verifies a Sallyport-Assertion: node verify.mjs ASSERTION JWKS_FILE AUDIENCE [ISSUER]
import { createPublicKey, verify } from 'node:crypto'
import { readFileSync } from 'node:fs'

export const verifyAssertion = (assertion, keys, audience, issuer = 'sallyport', nowSeconds = Date.now() / 1000) => {
  const [header, payload, signature, ...rest] = assertion.split('.')
  if (signature === undefined || rest.length > 0) throw new Error('not a JWT')
  const read = (part) => JSON.parse(Buffer.from(part, 'base64url').toString())
  const { alg, kid } = read(header)
  const jwk = keys.find((key) => key.kid === kid && key.kty === 'EC' && key.crv === 'P-256')
  if (alg !== 'ES256' || jwk === undefined) throw new Error('not signed by a known key')
  const key = { key: createPublicKey({ key: jwk, format: 'jwk' }), dsaEncoding: 'ieee-p1363' }
  const signed = Buffer.from(`${header}.${payload}`)
  if (!verify('sha256', signed, key, Buffer.from(signature, 'base64url'))) throw new Error('bad signature')
  const claims = read(payload)
  if (claims.iss !== issuer || claims.aud !== audience) throw new Error('for somebody else')
  if (!(typeof claims.exp === 'number' && nowSeconds < claims.exp)) throw new Error('expired')
  return claims
}

const [, , assertion, keysFile, audience, issuer] = process.argv
try {
  const { keys } = JSON.parse(readFileSync(keysFile, 'utf8'))
  console.log(JSON.stringify(verifyAssertion(assertion, keys, audience, issuer)))
} catch (error) {
  console.error(error.message)
  process.exit(1)
}
