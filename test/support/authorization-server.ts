import { generateKeyPairSync } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, type JWK } from 'jose'
import Provider, { type Configuration } from 'oidc-provider'
import type { DpopKey } from './dpop.ts'

export const CALLER = { id: 'caller', secret: 'the secret of the caller' }
export const GATEWAY = { id: 'gateway', secret: 'the secret: of the gateway & more' }
export const KEYED_GATEWAY = { id: 'keyed-gateway' }

/** A real authorization server, `oidc-provider`, that gives tokens to programs. */
export interface AuthorizationServer {
  /** `http://127.0.0.1:<port>`, also its issuer. */
  readonly issuer: string
  readonly introspection: string
  readonly tokenEndpoint: string
  /** By path, how often it was asked. */
  readonly calls: (path: string) => number
  /** The private key of `KEYED_GATEWAY`, as JWK. */
  readonly gatewayKey: JWK
  /** A token for the caller; opaque, unless a resource is named. */
  readonly issue: (options?: {
    readonly scope?: string
    readonly resource?: string
    readonly dpop?: DpopKey
  }) => Promise<string>
  readonly revoke: (token: string) => Promise<void>
  readonly close: () => Promise<void>
}

const basic = ({ id, secret }: { readonly id: string; readonly secret: string }): string =>
  `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString('base64')}`

export const startAuthorizationServer = async (): Promise<AuthorizationServer> => {
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const gatewayKey = { ...(await exportJWK(key.privateKey)), kid: 'gateway-1', alg: 'ES256' }
  const gatewayPublicKey = { ...(await exportJWK(key.publicKey)), kid: 'gateway-1', alg: 'ES256' }
  const signing = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const signingKey = { ...(await exportJWK(signing.privateKey)), kid: 'k1', alg: 'RS256', use: 'sig' }
  const calls = new Map<string, number>()
  let handle: ReturnType<Provider['callback']> | null = null
  const server = createServer((request, response) => {
    const path = (request.url ?? '').split('?', 1)[0] ?? ''
    calls.set(path, (calls.get(path) ?? 0) + 1)
    if (handle === null) response.writeHead(503).end()
    else void handle(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // An address object is certain here: the server listens on TCP.
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const program = { redirect_uris: [], response_types: [], grant_types: ['client_credentials'] }
  const configuration: Configuration = {
    clients: [
      { ...program, client_id: CALLER.id, client_secret: CALLER.secret, scope: 'read write' },
      { ...program, client_id: GATEWAY.id, client_secret: GATEWAY.secret, scope: 'read write' },
      {
        ...program,
        client_id: KEYED_GATEWAY.id,
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: 'ES256',
        jwks: { keys: [gatewayPublicKey] },
      },
    ],
    clientAuthMethods: ['client_secret_basic', 'private_key_jwt'],
    scopes: ['read', 'write'],
    jwks: { keys: [signingKey] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true, allowedPolicy: () => true },
      revocation: { enabled: true, allowedPolicy: () => true },
      dPoP: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => [],
        getResourceServerInfo: (_context, resource) => ({
          scope: 'read write',
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: 600,
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
  }
  handle = quietly(() => new Provider(issuer, configuration)).callback()
  const post = (path: string, form: Record<string, string>, headers: Record<string, string> = {}) =>
    fetch(`${issuer}${path}`, {
      method: 'POST',
      headers: { authorization: basic(CALLER), ...headers },
      body: new URLSearchParams(form),
    })
  return {
    issuer,
    introspection: `${issuer}/token/introspection`,
    tokenEndpoint: `${issuer}/token`,
    calls: (path) => calls.get(path) ?? 0,
    gatewayKey,
    issue: async ({ scope = 'read', resource, dpop } = {}) => {
      const form = {
        grant_type: 'client_credentials',
        scope,
        ...(resource === undefined ? {} : { resource }),
      }
      const proof =
        dpop && (await dpop.prove(Math.floor(Date.now() / 1000), { method: 'POST', uri: `${issuer}/token` }))
      const answer = await post('/token', form, proof === undefined ? {} : { dpop: proof })
      const body = await answer.text()
      const { access_token: token } = JSON.parse(body)
      if (typeof token !== 'string') throw new Error(`the authorization server gave no token: ${body}`)
      return token
    },
    revoke: async (token) => {
      await post('/token/revocation', { token })
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** It warns of each part that a real provider would replace. */
const quietly = <T>(make: () => T): T => {
  const { warn, info } = console
  console.warn = () => undefined
  console.info = () => undefined
  try {
    return make()
  } finally {
    Object.assign(console, { warn, info })
  }
}
