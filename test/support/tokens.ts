import type { KeyObject, webcrypto } from 'node:crypto'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { CompactSign, exportJWK, generateKeyPair, type JWK } from 'jose'

/** Any JSON object; tests also put in what no issuer should. */
export type Json = Readonly<Record<string, unknown>>

export interface TestKey {
  readonly kid: string
  readonly alg: string
  /** The public key as a key set has it, with `kid`, `alg` and `use`. */
  readonly jwk: JWK
  /** The whole key, for a provider that is to sign with it; there is none for a shared secret. */
  readonly privateJwk?: JWK
  /** A properly signed token; `header` members replace or add to `{ alg, kid, typ: 'JWT' }`. */
  readonly sign: (claims: Json, header?: Json) => Promise<string>
  /** The same over a payload that need not be JSON. */
  readonly signText: (payload: string, header?: Json) => Promise<string>
}

/** Makes a key pair. @param alg such as `ES256` (the quickest to make), `RS256`, `EdDSA`. */
export const makeKey = async (kid: string, alg = 'ES256'): Promise<TestKey> => {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  const signer = signerOf(kid, alg, privateKey, { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' })
  return { ...signer, privateJwk: { ...(await exportJWK(privateKey)), kid, alg, use: 'sig' } }
}

/** Signs with a shared secret, or with bytes that an attacker uses as one. */
export const makeSecretKey = (kid: string, secret: string | Uint8Array, alg = 'HS256'): TestKey =>
  signerOf(kid, alg, typeof secret === 'string' ? Buffer.from(secret) : secret, { kty: 'oct' })

const signerOf = (
  kid: string,
  alg: string,
  key: webcrypto.CryptoKey | KeyObject | Uint8Array,
  jwk: JWK,
): TestKey => {
  const signText = (payload: string, header: Json = {}): Promise<string> =>
    new CompactSign(Buffer.from(payload))
      .setProtectedHeader({ alg, kid, typ: 'JWT', ...header })
      .sign(key, { crit: { b64: true, 'urn:example:extension': true } })
  return { kid, alg, jwk, signText, sign: (claims, header) => signText(JSON.stringify(claims), header) }
}

/** A key set as a provider publishes it. */
export const jwksOf = (...keys: readonly TestKey[]): { readonly keys: readonly JWK[] } => ({
  keys: keys.map(({ jwk }) => jwk),
})

/** Base64url of text, or of a value as JSON. */
export const encodePart = (part: unknown): string =>
  Buffer.from(typeof part === 'string' ? part : JSON.stringify(part)).toString('base64url')

/** Puts parts together without signing; header and payload may be any text. */
export const forge = (header: unknown, payload: unknown, signature = 'AAAA'): string =>
  `${encodePart(header)}.${encodePart(payload)}.${signature}`

/** Replaces the header of a signed token and keeps its signature. */
export const withHeader = (token: string, header: unknown): string =>
  [encodePart(header), ...token.split('.').slice(1)].join('.')

type Answer = (response: ServerResponse) => void

const json =
  (value: unknown): Answer =>
  (response) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))

/** Ways for a provider to misbehave. */
export const MISBEHAVIOURS = {
  'answers 500': (response) => response.writeHead(500).end('broken'),
  'answers HTML': (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>hello'),
  'answers an empty key set': json({ keys: [] }),
  'answers something else': json([1, 2, 3]),
  'redirects to itself': (response) => response.writeHead(302, { location: '/jwks' }).end(),
  'answers 50 MB': (response) => {
    const chunk = Buffer.alloc(1024 * 1024, ' ')
    let left = 50
    const more = (): void => {
      while (left > 0) {
        left -= 1
        if (!response.write(chunk)) {
          response.once('drain', more)
          return
        }
      }
      response.end()
    }
    response.on('error', () => undefined)
    more()
  },
  'hangs up': (response) => response.destroy(),
} as const satisfies Readonly<Record<string, Answer>>

/** An identity provider on this machine: discovery and a key set, nothing else. */
export interface TestProvider {
  /** `http://127.0.0.1:<port>`, also its issuer. */
  readonly issuer: string
  readonly jwksUri: string
  /** Requests for the key set, and for the metadata, so far. */
  readonly fetches: () => { readonly jwks: number; readonly discovery: number }
  /** Publishes these keys from now on. */
  readonly publish: (...keys: readonly TestKey[]) => void
  /** Answers the key set so from now on. */
  readonly misbehave: (answer: Answer) => void
  /** Metadata instead of its own. */
  readonly publishMetadata: (metadata: Json) => void
  /** Holds every answer back until the returned function is called. */
  readonly hold: () => () => void
  readonly close: () => Promise<void>
}

export const startProvider = async (...keys: readonly TestKey[]): Promise<TestProvider> => {
  let answer = json(jwksOf(...keys))
  let metadata: Json = {}
  let gate: Promise<void> = Promise.resolve()
  const fetches = { jwks: 0, discovery: 0 }
  const server = createServer(async ({ url }, response) => {
    fetches[url === '/jwks' ? 'jwks' : 'discovery'] += 1
    await gate
    if (url === '/jwks') answer(response)
    else if (url === '/.well-known/openid-configuration') json(metadata)(response)
    else response.writeHead(404).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // An address object is certain here: the server listens on TCP.
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  metadata = { issuer, jwks_uri: `${issuer}/jwks` }
  return {
    issuer,
    jwksUri: `${issuer}/jwks`,
    fetches: () => ({ ...fetches }),
    publish: (...published) => {
      answer = json(jwksOf(...published))
    },
    misbehave: (bad) => {
      answer = bad
    },
    publishMetadata: (other) => {
      metadata = other
    },
    hold: () => {
      let release = (): void => undefined
      gate = new Promise((resolve) => {
        release = resolve
      })
      return () => release()
    },
    close: () => closeServer(server),
  }
}

const closeServer = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
