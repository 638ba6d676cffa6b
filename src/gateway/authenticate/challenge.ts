import type { Refusal } from '../../core/refusals.ts'
import type { CanonicalRequest } from '../../core/request.ts'
import type { Authenticator, Challenge } from './authenticator.ts'
import { NO_WISH, type SignInWish } from './sign-in-wish.ts'

/**
 * What a request without any credential gets: a page is sent to where its reader can sign in, all else a challenge.
 */
export const askForCredential = (
  refusal: Refusal,
  request: CanonicalRequest,
  listed: readonly Authenticator[],
  wish: SignInWish = NO_WISH,
): Refusal => {
  for (const { signIn } of listed) {
    const elsewhere = signIn?.(request, wish) ?? null
    if (elsewhere !== null) return { ...refusal, elsewhere }
  }
  return challengeFor(refusal, listed, 'none')
}

/**
 * Adds `WWW-Authenticate` to a 401 that has none and sends nobody elsewhere; any other refusal stays as it is.
 *
 * `Bearer` speaks for a route that takes it at all, else the first challenge of the list.
 *
 * @param presented `none` when there was no credential: then there is no `error`.
 * @see https://www.rfc-editor.org/rfc/rfc6750#section-3
 */
export const challengeFor = (
  refusal: Refusal,
  listed: readonly Authenticator[],
  presented: 'none' | 'bad',
): Refusal => {
  if (refusal.refusal !== 'unauthenticated' || refusal.elsewhere !== undefined) return refusal
  if (hasChallenge(refusal)) return refusal
  const challenges = listed.flatMap(({ challenge }) => (challenge === null ? [] : [challenge]))
  const challenge = challenges.find(({ scheme }) => scheme === 'Bearer') ?? challenges[0]
  if (challenge === undefined) return refusal
  const headers = [...(refusal.headers ?? []), 'WWW-Authenticate', write(challenge, presented)]
  return { ...refusal, headers }
}

const hasChallenge = ({ headers = [] }: Refusal): boolean =>
  headers.some((text, index) => index % 2 === 0 && text.toLowerCase() === 'www-authenticate')

const write = ({ scheme, parameters }: Challenge, presented: 'none' | 'bad'): string => {
  const all = presented === 'bad' ? [...parameters, 'error="invalid_token"'] : parameters
  return all.length === 0 ? scheme : `${scheme} ${all.join(', ')}`
}
