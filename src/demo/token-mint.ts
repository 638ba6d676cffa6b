import { createServer, type Server } from 'node:http'
import { exportJWK, generateKeyPair, type JSONWebKeySet, SignJWT } from 'jose'
import type { Clock } from '../core/clock.ts'
import { closeServer, listenLocally } from './local-server.ts'

/** The people of the demo; groups of the token end up as properties of the subject. */
const PEOPLE: ReadonlyMap<string, { readonly groups: readonly string[] }> = new Map([
  ['alice', { groups: ['customers'] }],
  ['bob', { groups: ['customers'] }],
  ['carol', { groups: ['staff'] }],
  ['dave', { groups: ['staff', 'auditors'] }],
])

export const DEMO_ISSUER = 'https://idp.demo.example'
export const DEMO_AUDIENCE = 'bank'
const LIFETIME_SECONDS = 3600

export interface TokenMint {
  /** `GET <url>/token/alice` answers with a token as plain text; `?mfa` says that a second factor was used. */
  readonly url: string
  /** The public half of its key. */
  readonly jwks: JSONWebKeySet
  /** Null when there is no such person. */
  readonly mint: (name: string, options?: { readonly mfa?: boolean }) => Promise<string | null>
  readonly close: () => Promise<void>
}

/**
 * Starts the demo's identity provider: it gives anybody a token in any name, so that the demo needs no other one.
 *
 * Its key is made here and dies with the process. It listens on 127.0.0.1 only.
 */
export const startTokenMint = async (clock: Clock): Promise<TokenMint> => {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
  const kid = 'demo'
  const jwks: JSONWebKeySet = { keys: [{ ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' }] }
  let minted = 0

  const mint: TokenMint['mint'] = async (name, options) => {
    const person = PEOPLE.get(name)
    if (person === undefined) return null
    minted += 1
    const now = Math.floor(clock.nowMs() / 1000)
    const amr = options?.mfa === true ? ['pwd', 'mfa'] : ['pwd']
    return new SignJWT({ groups: person.groups, amr })
      .setProtectedHeader({ alg: 'ES256', kid, typ: 'JWT' })
      .setIssuer(DEMO_ISSUER)
      .setAudience(DEMO_AUDIENCE)
      .setSubject(name)
      .setJti(`demo-${minted}`)
      .setIssuedAt(now)
      .setExpirationTime(now + LIFETIME_SECONDS)
      .sign(privateKey)
  }

  const server = createTokenServer(mint)
  return { url: await listenLocally(server, 0), jwks, mint, close: () => closeServer(server) }
}

const createTokenServer = (mint: TokenMint['mint']): Server => {
  const answer = async (target: string): Promise<string | null> => {
    const [, name, query] = /^\/token\/([a-z]+)(\?mfa)?$/.exec(target) ?? []
    return name === undefined ? null : mint(name, { mfa: query !== undefined })
  }
  return createServer((request, response) => {
    answer(request.method === 'GET' ? (request.url ?? '') : '').then(
      (token) => {
        response.writeHead(token === null ? 404 : 200, {
          'content-type': 'text/plain',
          'cache-control': 'no-store',
        })
        response.end(token ?? 'ask for /token/alice, bob, carol or dave\n')
      },
      () => response.destroy(),
    )
  })
}
