import type { Ending } from '../../../core/ending.ts'
import { isRefusal, type Refusal, refuse } from '../../../core/refusals.ts'
import type { OwnAnswered, OwnEndpoint, OwnRequest } from '../authenticator.ts'
import { crossOriginChange, originOfRequest } from '../same-origin.ts'
import { cookieName, writeSessionCookie } from '../session-cookies.ts'
import { endSession } from './end-session.ts'
import { addressedTo, type LogoutToken } from './logout-token.ts'
import { BACKCHANNEL_LOGOUT_PATH, LOGOUT_PATH, type OidcParts } from './parts.ts'
import { isProviderFailure } from './provider-failure.ts'
import { identityOf } from './session.ts'

/**
 * The ways out: by the person, and by the provider.
 *
 * @see https://openid.net/specs/openid-connect-rpinitiated-1_0.html
 * @see https://openid.net/specs/openid-connect-backchannel-1_0.html
 */
export const logoutEndpoints = (parts: OidcParts): readonly OwnEndpoint[] => [
  {
    path: LOGOUT_PATH,
    methods: ['GET', 'POST'],
    takes: ({ request, query }) => {
      const named = query.get('authenticator')
      return named === null ? hasCookie(parts, request) : named === parts.name
    },
    serve: (asked) => logOut(parts, asked),
  },
  {
    path: BACKCHANNEL_LOGOUT_PATH,
    methods: ['POST'],
    takes: (asked) => addressedTo(logoutTokenOf(asked), parts),
    serve: (asked) => hearOfLogout(parts, asked),
  },
]

const hasCookie = ({ cookie }: OidcParts, request: OwnRequest['request']): boolean => {
  const base = cookieName(cookie, request)
  return base !== null && request.headers.some((text) => text.includes(base))
}

/**
 * Ends the session here, whatever becomes of the one at the provider.
 *
 * A link may do it; what comes from a page of another origin may not.
 */
const logOut = async (parts: OidcParts, asked: OwnRequest): Promise<OwnAnswered | Refusal> => {
  const { request } = asked
  const { cookie, clientId, afterLogout, provider, limits, name, toSubject } = parts
  const isLink = request.method === 'GET' && !tellsWhere(request)
  const trespass = isLink ? null : crossOriginChange(request)
  if (trespass !== null) return trespass
  const { session, unknown, header, endings, forget } = await endSession(parts, asked, 'signed out')
  // What may go on has not ended: whoever was told so would be wrong, and without the cookie could not ask again.
  if (unknown !== undefined) return unknown
  const setCookies = writeSessionCookie(cookie, { value: '', maxAgeSeconds: 0 }, header, request)
  const found = session === null ? null : identityOf(name, session, limits, toSubject)
  const identity = found === null || isRefusal(found) ? null : found
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
    return { identity, endings, forget, answer: { kind: 'page', title, text, setCookies } }
  }
  return { identity, endings, forget, answer: { kind: 'redirect', location, setCookies } }
}

/** True when the browser says by which page it was sent; one that was typed in, or an old browser, says nothing. */
const tellsWhere = ({ headers, names }: OwnRequest['request']): boolean =>
  names.includes('origin') ||
  headers.some((text, index) => names[(index - 1) / 2] === 'sec-fetch-site' && text !== 'none')

const logoutTokenOf = ({ body }: OwnRequest): string =>
  new URLSearchParams(body?.toString('utf8') ?? '').get('logout_token') ?? ''

/** The provider says so itself, from machine to machine. */
const hearOfLogout = async (parts: OidcParts, asked: OwnRequest): Promise<OwnAnswered | Refusal> => {
  const { ended, checkLogoutToken, store } = parts
  const token = await checkLogoutToken(logoutTokenOf(asked))
  if (isRefusal(token)) return token
  const ending = endingOf(parts, token, asked.nowMs)
  if (isRefusal(ending)) return ending
  const part = token.sid === null ? 'sub' : 'sid'
  const value = token.sid ?? String(token.claims.sub)
  ended.add(part, value, asked.nowMs)
  const forget = () => store.removeAll(part, value, asked.nowMs, asked.wait)
  return { identity: null, endings: [ending], forget, answer: { kind: 'done' } }
}

/** One login where the token names it, else all of the person's until now. */
const endingOf = (
  { name, limits, toSubject }: OidcParts,
  { sid, claims }: LogoutToken,
  nowMs: number,
): Ending | Refusal => {
  const common = { reason: 'the provider says that it is over', untilMs: nowMs + limits.lifetimeMs }
  if (sid !== null) return { kind: 'session', target: sid, ...common }
  const subject = toSubject(claims)
  if (!isRefusal(subject)) return { kind: 'subject', target: `${subject.type}::${subject.id}`, ...common }
  const detail = `${name}: a logout token names nobody by whom subjects are known here: ${subject.detail}`
  return refuse('authenticate', 'bad_request', detail)
}
