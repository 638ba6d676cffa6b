import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { exportJWK, generateKeyPair, type JSONWebKeySet, type JWTPayload, SignJWT } from 'jose'
import type { Clock } from '../core/clock.ts'
import { closeServer, listenLocally } from './local-server.ts'
import { createLoginProvider, LOGIN_CLIENT, type LoginProvider } from './login-provider.ts'

/** The people of the demo; groups of the token end up as properties of the subject. */
const PEOPLE: ReadonlyMap<string, { readonly groups: readonly string[] }> = new Map([
  ['alice', { groups: ['customers'] }],
  ['bob', { groups: ['customers'] }],
  ['carol', { groups: ['staff'] }],
  ['dave', { groups: ['staff', 'auditors'] }],
])

export const DEMO_AUDIENCE = 'bank'
const LIFETIME_SECONDS = 3600

export interface TokenMint {
  /** The issuer of its tokens, too, at which people can sign in by a browser. `GET <url>/token/alice` answers with a token as plain text; `?mfa` says that a second factor was used. */
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
  const server = createServer()
  const url = await listenLocally(server, 0)

  const sign = (name: string, audience: string, claims: JWTPayload): Promise<string> => {
    const now = Math.floor(clock.nowMs() / 1000)
    return new SignJWT({ groups: PEOPLE.get(name)?.groups, ...claims })
      .setProtectedHeader({ alg: 'ES256', kid, typ: 'JWT' })
      .setIssuer(url)
      .setAudience(audience)
      .setSubject(name)
      .setIssuedAt(now)
      .setExpirationTime(now + LIFETIME_SECONDS)
      .sign(privateKey)
  }

  const mint: TokenMint['mint'] = async (name, options) => {
    if (!PEOPLE.has(name)) return null
    minted += 1
    const amr = options?.mfa === true ? ['pwd', 'mfa'] : ['pwd']
    return sign(name, DEMO_AUDIENCE, { amr, jti: `demo-${minted}` })
  }
  const provider = createLoginProvider({
    issuer: url,
    names: [...PEOPLE.keys()],
    jwks,
    signIdToken: (name, claims) => sign(name, LOGIN_CLIENT, { amr: ['pwd'], ...claims }),
    clock,
  })
  serveTokens(server, provider, mint)
  return { url, jwks, mint, close: () => closeServer(server) }
}

const serveTokens = (server: Server, provider: LoginProvider, mint: TokenMint['mint']): void => {
  const answer = async (target: string): Promise<string | null> => {
    const [, name, query] = /^\/token\/([a-z]+)(\?mfa)?$/.exec(target) ?? []
    return name === undefined ? null : mint(name, { mfa: query !== undefined })
  }
  server.on('request', async (request: IncomingMessage, response: ServerResponse) => {
    try {
      if (await provider(request, response)) return
      const token = await answer(request.method === 'GET' ? (request.url ?? '') : '')
      response.writeHead(token === null ? 404 : 200, {
        'content-type': 'text/plain',
        'cache-control': 'no-store',
      })
      response.end(token ?? 'ask for /token/alice, bob, carol or dave\n')
    } catch {
      response.destroy()
    }
  })
}
