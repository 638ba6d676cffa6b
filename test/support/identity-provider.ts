import { generateKeyPairSync } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK } from 'jose'
import Provider, { type Configuration } from 'oidc-provider'

/** One request that the provider got. */
export interface ProviderCall {
  readonly method: string
  readonly path: string
}

/** A whole OpenID provider, `oidc-provider`, on this machine. */
export interface IdentityProvider {
  /** `http://127.0.0.1:<port>`, also its issuer. */
  readonly issuer: string
  /** Starts to answer, as the provider of a client at this address. What was asked before waits until now. */
  readonly serve: (gatewayUrl: string, more?: Configuration) => Promise<void>
  readonly calls: () => readonly ProviderCall[]
  /** Answers so instead, from now on; null: by itself again. */
  readonly misbehave: (
    answer: ((request: IncomingMessage, response: ServerResponse) => boolean) | null,
  ) => void
  readonly close: () => Promise<void>
}

export const CLIENT_ID = 'gateway'
export const CLIENT_SECRET = 'the secret of the gateway at the provider'

/** Listens at once, so that its issuer is known, and answers when it is told whom it serves. */
export const openIdentityProvider = async (): Promise<IdentityProvider> => {
  const calls: ProviderCall[] = []
  let misbehaviour: ((request: IncomingMessage, response: ServerResponse) => boolean) | null = null
  let begin = (_handler: Handler): void => undefined
  const handler = new Promise<Handler>((resolve) => {
    begin = resolve
  })
  const server = createServer(async (request, response) => {
    const path = (request.url ?? '').split('?', 1)[0] ?? ''
    calls.push({ method: request.method ?? '', path })
    if (misbehaviour?.(request, response) === true) return
    const handle = await handler
    handle(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // An address object is certain here: the server listens on TCP.
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    issuer,
    serve: async (gatewayUrl, more = {}) => {
      const provider = await quietly(async () => new Provider(issuer, await configuration(gatewayUrl, more)))
      begin(provider.callback())
    },
    calls: () => calls,
    misbehave: (answer) => {
      misbehaviour = answer
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

type Handler = (request: IncomingMessage, response: ServerResponse) => unknown

/** It warns of each part that a real provider would replace. */
const quietly = async <T>(make: () => Promise<T>): Promise<T> => {
  const { warn, info } = console
  console.warn = () => undefined
  console.info = () => undefined
  try {
    return await make()
  } finally {
    Object.assign(console, { warn, info })
  }
}

const TTL_SECONDS = {
  ...{ AccessToken: 3600, Grant: 86_400, IdToken: 3600 },
  ...{ Interaction: 600, RefreshToken: 86_400, Session: 86_400 },
}

const PLAINLY: object = { dispatcher: undefined }

const configuration = async (gatewayUrl: string, more: Configuration): Promise<Configuration> => {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  return {
    clients: [
      {
        client_id: CLIENT_ID,
        client_secret: CLIENT_SECRET,
        redirect_uris: [`${gatewayUrl}/.sallyport/callback`],
        post_logout_redirect_uris: [`${gatewayUrl}/goodbye`],
        backchannel_logout_uri: `${gatewayUrl}/.sallyport/backchannel-logout`,
        backchannel_logout_session_required: true,
        grant_types: ['authorization_code', 'refresh_token'],
      },
    ],
    jwks: { keys: [{ ...(await exportJWK(privateKey)), kid: 'k1', alg: 'RS256', use: 'sig' }] },
    cookies: { keys: ['a key for the cookies of the provider'] },
    claims: { openid: ['sub', 'sid', 'auth_time'], profile: ['groups'] },
    findAccount: (_context, id) => ({
      accountId: id,
      claims: () => ({ sub: id, groups: id === 'carol' ? ['staff'] : ['customers'] }),
    }),
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    features: { backchannelLogout: { enabled: true }, rpInitiatedLogout: { enabled: true } },
    // Nobody is asked to consent.
    loadExistingGrant: async ({ oidc }) => {
      const grant = new oidc.provider.Grant({
        ...(oidc.client === undefined ? {} : { clientId: oidc.client.clientId }),
        ...(oidc.session?.accountId === undefined ? {} : { accountId: oidc.session.accountId }),
      })
      grant.addOIDCScope('openid profile offline_access')
      await grant.save()
      return grant
    },
    // It calls no address of this machine by itself.
    fetch: (url, options) => fetch(url, { ...options, ...PLAINLY }),
    issueRefreshToken: async (_context, client) => client.grantTypeAllowed('refresh_token'),
    ...more,
    ttl: { ...TTL_SECONDS, ...more.ttl },
  }
}
