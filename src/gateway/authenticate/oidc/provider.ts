import {
  allowInsecureRequests,
  authorizationCodeGrant,
  buildAuthorizationUrl,
  buildEndSessionUrl,
  type ClientAuth,
  ClientSecretBasic,
  ClientSecretPost,
  type Configuration,
  calculatePKCECodeChallenge,
  clockTolerance,
  customFetch,
  discovery,
  None,
  refreshTokenGrant,
  type TokenEndpointResponse,
} from 'openid-client'
import type { Clock } from '../../../core/clock.ts'
import type { Log } from '../../../core/log.ts'
import { isRefusal } from '../../../core/refusals.ts'
import { type Algorithm, ASYMMETRIC_ALGORITHMS } from '../algorithms.ts'
import { parseJwt } from '../jwt-parse.ts'
import { acceptedAlgorithm, findSigner } from '../jwt-signature.ts'
import type { KeySource } from '../key-source.ts'
import { type SignInWish, wishParameters } from '../sign-in-wish.ts'
import { type ProviderFailure, providerFailure } from './provider-failure.ts'
import { createProviderFetch } from './provider-fetch.ts'

export interface ProviderOptions {
  readonly authenticator: string
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: string | null
  readonly scopes: readonly string[]
  readonly parameters: Readonly<Record<string, string>>
  readonly timeoutMs: number
  readonly insecure: boolean
  readonly clockToleranceMs: number
  /** Not closed here. */
  readonly keys: KeySource
  readonly clock: Clock
  readonly log: Log
}

/** What a provider gave; the ID token has been verified. */
export interface Tokens {
  readonly idToken: string | null
  readonly refreshToken: string | null
  readonly expiresInSeconds: number | null
}

/** What ties an answer of the provider to the browser that asked. */
export interface LoginSecrets {
  readonly state: string
  readonly nonce: string
  readonly verifier: string
}

export interface OidcProvider {
  readonly authorizationUrl: (
    redirectUri: string,
    secrets: LoginSecrets,
    wish: SignInWish,
  ) => Promise<string | ProviderFailure>
  /** @param answer the address by which the browser came back. */
  readonly redeem: (answer: URL, secrets: LoginSecrets) => Promise<Tokens | ProviderFailure>
  readonly refresh: (refreshToken: string) => Promise<Tokens | ProviderFailure>
  /** Null when the provider has no such place. */
  readonly endSessionUrl: (
    parameters: Readonly<Record<string, string>>,
  ) => Promise<string | null | ProviderFailure>
  readonly close: () => void
}

const REDISCOVER_MS = 60 * 60_000
const RETRY_MS = 1000
const ALGORITHMS: ReadonlySet<Algorithm> = new Set(ASYMMETRIC_ALGORITHMS)

/**
 * One OpenID provider, as a client of it sees it.
 *
 * Its metadata are found when they are first needed and looked up again every hour; the ones that are known are used
 * on while it is down. Never throws for what the provider does.
 *
 * @see https://openid.net/specs/openid-connect-core-1_0.html#CodeFlowAuth
 */
export const createOidcProvider = (options: ProviderOptions): OidcProvider => {
  const { authenticator, log } = options
  const { fetch, close } = createProviderFetch(options)
  const configured = rememberedConfiguration(options, () => discover(options, fetch))

  const attempt = async <T>(
    what: string,
    step: (configuration: Configuration) => Promise<T | ProviderFailure>,
  ): Promise<T | ProviderFailure> => {
    try {
      return await step(await configured())
    } catch (error) {
      const failure = providerFailure(error)
      const level = failure.failure === 'unavailable' ? 'warn' : 'info'
      log[level]({ authenticator, what, ...failure }, 'The provider did not do what it was asked')
      return failure
    }
  }

  return {
    authorizationUrl: (redirectUri, { state, nonce, verifier }, wish) =>
      attempt('a sign-in', async (configuration) => {
        const url = buildAuthorizationUrl(configuration, {
          ...options.parameters,
          // Who is asked for an age must say when the login was: only that shows that there was another one.
          ...(wish.anew ? { max_age: '0' } : {}),
          ...wishParameters(wish),
          redirect_uri: redirectUri,
          scope: options.scopes.join(' '),
          code_challenge: await calculatePKCECodeChallenge(verifier),
          code_challenge_method: 'S256',
          state,
          nonce,
        })
        return url.href
      }),
    redeem: (answer, { state, nonce, verifier }) =>
      attempt('a code', async (configuration) => {
        const tokens = await authorizationCodeGrant(configuration, answer, {
          expectedState: state,
          expectedNonce: nonce,
          pkceCodeVerifier: verifier,
          idTokenExpected: true,
        })
        return verified(tokens, options)
      }),
    refresh: (refreshToken) =>
      attempt('a refresh', async (configuration) =>
        verified(await refreshTokenGrant(configuration, refreshToken), options),
      ),
    endSessionUrl: (parameters) =>
      attempt('a logout', async (configuration) =>
        configuration.serverMetadata().end_session_endpoint === undefined
          ? null
          : buildEndSessionUrl(configuration, { ...parameters }).href,
      ),
    close,
  }
}

const discover = (options: ProviderOptions, fetch: ReturnType<typeof createProviderFetch>['fetch']) => {
  const { issuer, clientId, clientSecret, timeoutMs, clockToleranceMs } = options
  // What goes over plain http, and where to, is for `fetch` to say.
  const execute = [allowInsecureRequests]
  const metadata = { [clockTolerance]: Math.ceil(clockToleranceMs / 1000) }
  const authentication = clientSecret === null ? None() : eitherWay(clientSecret)
  return discovery(new URL(issuer), clientId, metadata, authentication, {
    execute,
    timeout: Math.ceil(timeoutMs / 1000),
    [customFetch]: fetch,
  })
}

/** By the way that the provider takes; `client_secret_basic` unless it says otherwise. */
const eitherWay = (clientSecret: string): ClientAuth => {
  const basic = ClientSecretBasic(clientSecret)
  const post = ClientSecretPost(clientSecret)
  return (server, ...rest) => {
    const { token_endpoint_auth_methods_supported: methods = ['client_secret_basic'] } = server
    const authenticate = methods.includes('client_secret_basic') ? basic : post
    return authenticate(server, ...rest)
  }
}

/** One discovery at a time, and none right after one that failed. */
const rememberedConfiguration = (
  { authenticator, clock, log }: ProviderOptions,
  load: () => Promise<Configuration>,
): (() => Promise<Configuration>) => {
  let known: Configuration | null = null
  let knownAtMs = 0
  let failed: { readonly error: unknown; readonly atMs: number } | null = null
  let pending: Promise<Configuration> | null = null
  const refresh = (): Promise<Configuration> => {
    pending ??= load()
      .then((configuration) => {
        known = configuration
        knownAtMs = clock.nowMs()
        failed = null
        return configuration
      })
      .catch((error: unknown) => {
        failed = { error, atMs: clock.nowMs() }
        throw error
      })
      .finally(() => {
        pending = null
      })
    return pending
  }
  return async () => {
    const nowMs = clock.nowMs()
    const rests = failed !== null && Math.abs(nowMs - failed.atMs) < RETRY_MS
    if (known === null) {
      if (failed !== null && rests) throw failed.error
      return refresh()
    }
    if (Math.abs(nowMs - knownAtMs) > REDISCOVER_MS && !rests) {
      refresh().catch((error: unknown) => {
        log.warn({ authenticator, ...providerFailure(error) }, 'The metadata of the provider are old')
      })
    }
    return known
  }
}

/** The tokens, once the signature of the ID token has been checked: the client itself trusts the connection. */
const verified = async (
  tokens: TokenEndpointResponse,
  { keys, clock }: ProviderOptions,
): Promise<Tokens | ProviderFailure> => {
  const { id_token: idToken = null, refresh_token: refreshToken = null, expires_in: expiresIn } = tokens
  if (idToken !== null) {
    const problem = await signatureProblem(idToken, keys, clock)
    if (problem !== null) return { failure: 'unavailable', detail: `the ID token: ${problem}` }
  }
  return { idToken, refreshToken, expiresInSeconds: expiresIn ?? null }
}

const signatureProblem = async (idToken: string, keys: KeySource, clock: Clock): Promise<string | null> => {
  const token = parseJwt(idToken)
  if (typeof token === 'string') return token
  const algorithm = acceptedAlgorithm(token, ALGORITHMS)
  if (algorithm === null) return 'its alg is not accepted'
  const signer = await findSigner(token, algorithm, keys, clock)
  if (typeof signer === 'string') return signer
  return isRefusal(signer) ? signer.detail : null
}
