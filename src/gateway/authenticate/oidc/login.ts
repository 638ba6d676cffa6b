import { randomBytes } from 'node:crypto'
import { isRefusal, type Refusal, refuse } from '../../../core/refusals.ts'
import type { OwnAnswered, OwnEndpoint, OwnRequest } from '../authenticator.ts'
import { cookieName, writeSessionCookie } from '../session-cookies.ts'
import { readWish, type SignInWish, wishText } from '../sign-in-wish.ts'
import { endSession } from './end-session.ts'
import { CALLBACK_PATH, LOGIN_PATH, type OidcParts } from './parts.ts'
import type { PendingLogin } from './pending-logins.ts'
import type { Tokens } from './provider.ts'
import { isProviderFailure, refusalOf } from './provider-failure.ts'
import { tokenTimes } from './refresh.ts'
import { returnTarget } from './return-target.ts'
import { endOfUseMs, identityOf, type Session } from './session.ts'

/** The way to the provider and back. @see https://openid.net/specs/openid-connect-core-1_0.html#CodeFlowAuth */
export const loginEndpoints = (parts: OidcParts): readonly OwnEndpoint[] => [
  {
    path: LOGIN_PATH,
    methods: ['GET'],
    takes: ({ query }) => (query.get('authenticator') ?? parts.name) === parts.name,
    serve: (asked) => beginLogin(parts, asked),
  },
  {
    path: CALLBACK_PATH,
    methods: ['GET'],
    takes: ({ query }) => (query.get('state') ?? '').startsWith(`${parts.name}.`),
    serve: (asked) => endLogin(parts, asked),
  },
]

/** The address of a sign-in that leads back to what was asked for. */
export const loginAddress = (name: string, target: string, wish: SignInWish): string => {
  const back = returnTarget(target)
  const wished = wishText(wish)
  const query = `authenticator=${encodeURIComponent(name)}${wished === '' ? '' : `&${wished}`}`
  return `${LOGIN_PATH}?${query}${back === null ? '' : `&return=${encodeURIComponent(back)}`}`
}

const beginLogin = async (
  { name, cookie, logins, provider }: OidcParts,
  { request, query, nowMs }: OwnRequest,
): Promise<OwnAnswered | Refusal> => {
  if (cookieName(cookie, request) === null) {
    return refuse('authenticate', 'bad_request', `${name}: a sign-in over plain http to another machine`, {
      publicDetail: 'Signing in needs https.',
    })
  }
  if ((query.get('authenticator') ?? name) !== name) {
    return refuse('authenticate', 'bad_request', 'a sign-in by an authenticator that does not exist')
  }
  const returnTo = returnTarget(query.get('return') ?? '/')
  if (returnTo === null || query.getAll('return').length > 1) {
    return refuse('authenticate', 'bad_request', `${name}: a sign-in that would not lead back to this host`, {
      publicDetail: 'After signing in only a page of this host can follow.',
    })
  }
  const wish = readWish(query)
  if (wish === null)
    return refuse('authenticate', 'bad_request', `${name}: a sign-in that asks for something odd`)
  const { login, setCookies } = await logins.begin(request, { returnTo, askedFor: wishText(wish) }, nowMs)
  const location = await provider.authorizationUrl(redirectUri(login), login, wish)
  if (typeof location !== 'string') return refusalOf(name, location, NOT_NOW)
  return { identity: null, answer: { kind: 'redirect', location, setCookies } }
}

const NOT_NOW = 'Signing in is not possible at present.'
const AGAIN = 'This sign-in cannot be completed. Open the page that you wanted to see once more.'

const redirectUri = ({ origin }: PendingLogin): string => `${origin}${CALLBACK_PATH}`

const endLogin = async (parts: OidcParts, asked: OwnRequest): Promise<OwnAnswered | Refusal> => {
  const { name, logins, provider } = parts
  const { request, query, nowMs } = asked
  const state = query.get('state') ?? ''
  const forgotten = logins.forget(request, state)
  const refused = (refusal: Refusal): Refusal => ({
    ...refusal,
    headers: [...(refusal.headers ?? []), ...forgotten.flatMap((cookie) => ['Set-Cookie', cookie])],
  })
  const login = ambiguous(query) ?? (await logins.take(request, state, nowMs, asked.wait))
  if (typeof login === 'string') {
    const detail = `${name}: ${login}`
    return refused(refuse('authenticate', 'unauthenticated', detail, { publicDetail: AGAIN }))
  }
  const tokens = await provider.redeem(new URL(`${redirectUri(login)}${request.query}`), login)
  if (isProviderFailure(tokens)) return refused(refusalOf(name, tokens, AGAIN))
  const opened = await openSession(parts, asked, login, tokens)
  if (isRefusal(opened)) return refused(opened)
  const { identity, endings, forget, setCookies } = opened
  const answer = {
    kind: 'redirect',
    location: login.returnTo,
    setCookies: [...setCookies, ...forgotten],
  } as const
  return { identity, answer, endings, forget }
}

/** Two readers of a repeated parameter could see two answers. */
const ambiguous = (query: URLSearchParams): string | null => {
  const names = [...query.keys()]
  return new Set(names).size === names.length ? null : 'a parameter of the callback came more than once'
}

/** A new session, whatever session the browser came with: that one is over. */
const openSession = async (
  parts: OidcParts,
  asked: OwnRequest,
  { askedFor }: PendingLogin,
  tokens: Tokens,
) => {
  const { name, cookie, limits, toSubject, store, refreshBeforeMs } = parts
  const { request, nowMs, wait } = asked
  const { idToken, refreshToken } = tokens
  if (idToken === null) return refuse('authenticate', 'authenticator_unavailable', `${name}: no ID token`)
  const nowSeconds = Math.floor(nowMs / 1000)
  const session: Session = {
    id: randomBytes(16).toString('base64url'),
    startedAt: nowSeconds,
    usedAt: nowSeconds,
    idToken,
    ...(askedFor === '' ? {} : { askedFor }),
    ...(refreshToken === null ? {} : { refreshToken }),
    ...tokenTimes(tokens, refreshBeforeMs, nowMs),
  }
  const identity = identityOf(name, session, limits, toSubject)
  if (isRefusal(identity)) return identity
  const value = await store.save(session, null, wait)
  if (typeof value !== 'string') return value
  const { header, endings, forget } = await endSession(parts, asked, 'signed in anew')
  const maxAgeSeconds = Math.floor((endOfUseMs(session, limits) - nowMs) / 1000)
  const setCookies = writeSessionCookie(cookie, { value, maxAgeSeconds }, header, request)
  return { identity, endings, forget, setCookies }
}
