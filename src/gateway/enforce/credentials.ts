import { Agent } from 'undici'
import type { Clock } from '../../core/clock.ts'
import type { Log } from '../../core/log.ts'
import { type Refusal, refuse } from '../../core/refusals.ts'
import type { Passage } from '../pipeline.ts'
import { type CredentialsConfig, clientIdentityOf, type TokenConfig } from './credentials-config.ts'
import { type IssuedToken, type NoToken, requestToken, type TokenEndpoint } from './token-endpoint.ts'
import { createTokenKeeper } from './token-keeper.ts'

/** What an application is shown by the gateway, so that no caller has to hold it. */
export interface UpstreamCredentials {
  /** The field that carries it. */
  readonly header: string
  /**
   * @param callerToken the token that the caller came by, null when there was none.
   * @returns the value of the field; or why there is none: then nothing may be forwarded.
   */
  readonly valueFor: (
    passage: Pick<Passage, 'identity'>,
    callerToken: () => string | null,
  ) => string | Refusal | Promise<string | Refusal>
  readonly close: () => void
}

interface Parts {
  readonly upstream: string
  readonly clock: Clock
  readonly log: Log
}

/** Nothing is fetched before the first request. */
export const createCredentials = (config: CredentialsConfig, parts: Parts): UpstreamCredentials => {
  switch (config.type) {
    case 'basic': {
      const pair = Buffer.from(`${config.username}:${config.password.reveal()}`)
      return fixed('Authorization', `Basic ${pair.toString('base64')}`)
    }
    case 'bearer':
      return fixed(config.header, written(config.header, config.token.reveal()))
    case 'client_credentials':
    case 'token-exchange':
      return issued(config, parts)
  }
}

const fixed = (header: string, value: string): UpstreamCredentials => ({
  header,
  valueFor: () => value,
  close: () => undefined,
})

const isAuthorization = (header: string): boolean => header.toLowerCase() === 'authorization'

const written = (header: string, token: string): string =>
  isAuthorization(header) ? `Bearer ${token}` : token

const issued = (config: TokenConfig, { upstream, clock, log }: Parts): UpstreamCredentials => {
  const { timeout: timeoutMs, header } = config
  const agent = new Agent({
    connect: { timeout: timeoutMs },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
  })
  const endpoint: TokenEndpoint = {
    url: config.tokenEndpoint,
    client: clientIdentityOf(config),
    agent,
    timeoutMs,
    anyType: !isAuthorization(header),
  }
  const keeper = createTokenKeeper(clock)

  const ask = async (parameters: Readonly<Record<string, string>>): Promise<IssuedToken | NoToken> => {
    const answer = await requestToken(endpoint, parameters, clock.nowMs())
    if ('failure' in answer) {
      log.warn({ upstream, failure: answer.failure }, 'There are no credentials for an upstream')
    }
    return answer
  }
  // What the gateway asks for itself is no fault of a caller.
  const mayBeCaller = config.type === 'token-exchange'
  const settle = (answer: IssuedToken | NoToken): string | Refusal =>
    'failure' in answer ? withoutCredentials(upstream, answer, mayBeCaller) : written(header, answer.token)

  return {
    header,
    valueFor: ({ identity }, callerToken) => {
      const token = config.type === 'token-exchange' ? callerToken() : null
      if (config.type === 'token-exchange' && (token === null || identity === null)) {
        return refuse(
          'enforce',
          'denied',
          `upstream ${upstream}: the caller has no token that could be exchanged`,
        )
      }
      const parameters = { ...asked(config), ...(token === null ? {} : { subject_token: token }) }
      const known = keeper.get(identity !== null && token !== null ? identity.credential.digest : '', () =>
        ask(parameters),
      )
      return known instanceof Promise ? known.then(settle) : settle(known)
    },
    close: () => {
      agent.destroy().catch(() => undefined)
    },
  }
}

/** @see https://www.rfc-editor.org/rfc/rfc6749#section-4.4 and https://www.rfc-editor.org/rfc/rfc8693#section-2.1 */
const asked = (config: TokenConfig): Readonly<Record<string, string>> => {
  const { scope, audience, resource } = config
  return {
    ...(scope === undefined ? {} : { scope }),
    ...(audience === undefined ? {} : { audience }),
    ...(resource === undefined ? {} : { resource }),
    ...(config.type === 'client_credentials'
      ? { grant_type: 'client_credentials' }
      : {
          grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
          subject_token_type: config.subjectTokenType,
          requested_token_type: config.requestedTokenType,
        }),
  }
}

const withoutCredentials = (
  upstream: string,
  { failure, isRefused }: NoToken,
  mayBeCaller: boolean,
): Refusal =>
  refuse(
    'enforce',
    isRefused && mayBeCaller ? 'denied' : 'upstream_unavailable',
    `upstream ${upstream}: the authorization server gives no credentials: ${failure}`,
  )
