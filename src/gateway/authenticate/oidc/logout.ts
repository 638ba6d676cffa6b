import { isRefusal, type Refusal } from '../../../core/refusals.ts'
import type { OwnAnswered, OwnEndpoint, OwnRequest } from '../authenticator.ts'
import { crossOriginChange, originOfRequest } from '../same-origin.ts'
import { cookieName, writeSessionCookie } from '../session-cookies.ts'
import { endSession } from './end-session.ts'
import { LOGOUT_PATH, type OidcParts } from './parts.ts'
import { isProviderFailure } from './provider-failure.ts'
import { identityOf } from './session.ts'

/** The way out. @see https://openid.net/specs/openid-connect-rpinitiated-1_0.html */
export const logoutEndpoint = (parts: OidcParts): OwnEndpoint => ({
  path: LOGOUT_PATH,
  methods: ['GET', 'POST'],
  takes: ({ request, query }) => {
    const named = query.get('authenticator')
    return named === null ? hasCookie(parts, request) : named === parts.name
  },
  serve: (asked) => logOut(parts, asked),
})

const hasCookie = ({ cookie }: OidcParts, request: OwnRequest['request']): boolean => {
  const base = cookieName(cookie, request)
  return base !== null && request.headers.some((text) => text.includes(base))
}

/**
 * Ends the session here, whatever becomes of the one at the provider.
 *
 * A link may do it; what comes from a page of another origin may not.
 */
const logOut = async (parts: OidcParts, { request }: OwnRequest): Promise<OwnAnswered | Refusal> => {
  const { cookie, clientId, afterLogout, provider, limits, name, toSubject } = parts
  const isLink = request.method === 'GET' && !tellsWhere(request)
  const trespass = isLink ? null : crossOriginChange(request)
  if (trespass !== null) return trespass
  const { session, header } = await endSession(parts, request)
  const setCookies = writeSessionCookie(cookie, { value: '', maxAgeSeconds: 0 }, header, request)
  const identity = session === null ? null : identityOf(name, session, limits, toSubject)
  const known = identity === null || isRefusal(identity) ? null : identity
  const location = await provider.endSessionUrl({
    client_id: clientId,
    ...(session === null ? {} : { id_token_hint: session.idToken }),
    ...(afterLogout === null
      ? {}
      : { post_logout_redirect_uri: `${originOfRequest(request)}${afterLogout}` }),
  })
  if (location === null || isProviderFailure(location)) {
    const title = 'You are signed out'
    const text = 'You may still be signed in at the identity provider.'
    return { identity: known, answer: { kind: 'page', title, text, setCookies } }
  }
  return { identity: known, answer: { kind: 'redirect', location, setCookies } }
}

/** True when the browser says by which page it was sent; one that was typed in, or an old browser, says nothing. */
const tellsWhere = ({ headers, names }: OwnRequest['request']): boolean =>
  names.includes('origin') ||
  headers.some((text, index) => names[(index - 1) / 2] === 'sec-fetch-site' && text !== 'none')
