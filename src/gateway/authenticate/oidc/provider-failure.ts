import {
  AuthorizationResponseError,
  ClientError,
  ResponseBodyError,
  WWWAuthenticateChallengeError,
} from 'openid-client'
import { type Refusal, refuse } from '../../../core/refusals.ts'

/**
 * Why a provider did not give what it was asked for.
 *
 * `refused`: it, or the check of its answer, said no to what the browser had brought. `unavailable`: nobody can say,
 * because it is slow, down, does not know this gateway, or answers nonsense.
 */
export interface ProviderFailure {
  readonly failure: 'refused' | 'unavailable'
  /** For operators; without any token or code. */
  readonly detail: string
}

export const isProviderFailure = (value: object | string | null): value is ProviderFailure =>
  typeof value === 'object' && value !== null && 'failure' in value

/** Answers of the authorization endpoint by which it says that it cannot answer. */
const TROUBLED: ReadonlySet<string> = new Set(['server_error', 'temporarily_unavailable'])

/** Answers of the token endpoint that are about what it was given, not about who gave it or how it is. */
const ABOUT_THE_GRANT: ReadonlySet<string> = new Set([
  'invalid_grant',
  'access_denied',
  'interaction_required',
])

/** Makes of an error of `openid-client` what is to be done about it. What is not known to be a no is none. */
export const providerFailure = (error: unknown): ProviderFailure => {
  if (error instanceof AuthorizationResponseError) {
    const failure = TROUBLED.has(error.error) ? 'unavailable' : 'refused'
    return { failure, detail: `the provider answered ${named(error.error)}` }
  }
  if (error instanceof ResponseBodyError) {
    const failure = ABOUT_THE_GRANT.has(error.error) && error.status < 500 ? 'refused' : 'unavailable'
    return { failure, detail: `the provider answered ${error.status} ${named(error.error)}` }
  }
  if (error instanceof WWWAuthenticateChallengeError) {
    return {
      failure: 'unavailable',
      detail: `the provider answered ${error.status}: it does not know this client`,
    }
  }
  const code = codeOf(error)
  if (error instanceof ClientError) {
    const claim = claimOf(error)
    // Only the nonce says which browser had asked; all else is between the provider and its own clock and key.
    if (claim === 'nonce')
      return { failure: 'refused', detail: 'the ID token is not for this sign-in (nonce)' }
    const detail = claim === null ? code : `${code}, ${named(claim)}`
    return { failure: 'unavailable', detail: `the answer of the provider is not acceptable (${detail})` }
  }
  return { failure: 'unavailable', detail: `the provider could not be reached (${code})` }
}

/** The refusal that a failure comes to. */
export const refusalOf = (
  authenticator: string,
  { failure, detail }: ProviderFailure,
  publicDetail: string,
): Refusal =>
  failure === 'unavailable'
    ? refuse('authenticate', 'authenticator_unavailable', `${authenticator}: ${detail}`)
    : refuse('authenticate', 'unauthenticated', `${authenticator}: ${detail}`, { publicDetail })

/** Codes are short words; what is none is not repeated. */
const named = (code: string): string => (/^[a-zA-Z0-9_.-]{1,64}$/.test(code) ? code : 'an error')

const causeOf = (error: unknown): unknown => (error instanceof Error ? error.cause : undefined)

const codeOf = (error: unknown): string => {
  for (const each of [error, causeOf(error)]) {
    const code: unknown = each instanceof Error ? Reflect.get(each, 'code') : undefined
    if (typeof code === 'string') return code
    if (each instanceof Error && each.name === 'TimeoutError') return 'TIMEOUT'
  }
  return 'no code'
}

const claimOf = (error: Error): string | null => {
  for (const each of [causeOf(error), causeOf(causeOf(error))]) {
    const claim: unknown = typeof each === 'object' && each !== null ? Reflect.get(each, 'claim') : undefined
    if (typeof claim === 'string') return claim
  }
  return null
}
