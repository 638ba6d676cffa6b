import { createHash, randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { JSONWebKeySet } from 'jose'
import type { Clock } from '../core/clock.ts'
import { escapeHtml } from '../core/escape-html.ts'
import { isLoopback } from '../core/loopback.ts'
import { localPage } from './local-page.ts'

/** What the demo's gateway is called at its provider; it is a public client. */
export const LOGIN_CLIENT = 'bank-pages'
const CALLBACK_PATH = '/.sallyport/callback'
const CODE_LIFETIME_MS = 60_000
const MOST_CODES = 1000
const MAX_BODY_CHARACTERS = 16 * 1024
const CHALLENGE = /^[A-Za-z0-9_-]{43}$/

export interface LoginProviderOptions {
  /** Where it is, without a slash at the end. */
  readonly issuer: string
  readonly names: readonly string[]
  readonly jwks: JSONWebKeySet
  /** An ID token about one of `names`, with these claims besides. */
  readonly signIdToken: (name: string, claims: Readonly<Record<string, string | number>>) => Promise<string>
  readonly clock: Clock
}

/** Answers a request of its own; false for one that is not. */
export type LoginProvider = (request: IncomingMessage, response: ServerResponse) => Promise<boolean>

interface Code {
  readonly name: string
  readonly redirectUri: string
  readonly challenge: string
  readonly nonce: string | null
  readonly atMs: number
}

interface Call {
  readonly method: string
  readonly query: URLSearchParams
  readonly body: URLSearchParams
  readonly response: ServerResponse
}

/**
 * Makes the OpenID provider of the demo: whoever comes says who he is, and is believed.
 *
 * The code flow with PKCE and as much of OpenID Connect as a careful client needs. Nobody stays signed in here. Checks
 * no password, and sends people back to a gateway on this machine only.
 *
 * @see https://openid.net/specs/openid-connect-core-1_0.html#CodeFlowAuth
 */
export const createLoginProvider = (options: LoginProviderOptions): LoginProvider => {
  const codes = new Map<string, Code>()
  const places = new Map<string, (call: Call) => void | Promise<void>>([
    ['/.well-known/openid-configuration', ({ response }) => sendJson(response, 200, metadataOf(options))],
    ['/jwks', ({ response }) => sendJson(response, 200, options.jwks)],
    ['/authorize', (call) => authorize(call, options, codes)],
    ['/oauth/token', (call) => redeem(call, options, codes)],
    ['/signed-out', signOut],
  ])
  return async (request, response) => {
    const { pathname, searchParams: query } = new URL(request.url ?? '/', options.issuer)
    const serve = places.get(pathname)
    if (serve === undefined) return false
    const body = new URLSearchParams(await readText(request))
    await serve({ method: request.method ?? '', query, body, response })
    return true
  }
}

const metadataOf = ({ issuer }: LoginProviderOptions) => ({
  issuer,
  authorization_endpoint: `${issuer}/authorize`,
  token_endpoint: `${issuer}/oauth/token`,
  jwks_uri: `${issuer}/jwks`,
  end_session_endpoint: `${issuer}/signed-out`,
  scopes_supported: ['openid'],
  response_types_supported: ['code'],
  response_modes_supported: ['query'],
  grant_types_supported: ['authorization_code'],
  subject_types_supported: ['public'],
  id_token_signing_alg_values_supported: ['ES256'],
  token_endpoint_auth_methods_supported: ['none'],
  code_challenge_methods_supported: ['S256'],
  authorization_response_iss_parameter_supported: true,
})

const readText = async (request: IncomingMessage): Promise<string> => {
  let text = ''
  for await (const chunk of request.setEncoding('utf8') as AsyncIterable<string>) {
    text += chunk
    if (text.length > MAX_BODY_CHARACTERS) throw new Error('the body is too long')
  }
  return text
}

/** A question by `GET`, a page to choose from; by `POST`, on the way back with a code. */
const authorize = (
  { method, query, body, response }: Call,
  { issuer, names, clock }: LoginProviderOptions,
  codes: Map<string, Code>,
): void => {
  const redirectUri = ownGateway(query.get('redirect_uri'), CALLBACK_PATH)
  const challenge = query.get('code_challenge') ?? ''
  const isSound =
    query.get('client_id') === LOGIN_CLIENT &&
    query.get('response_type') === 'code' &&
    query.get('code_challenge_method') === 'S256' &&
    CHALLENGE.test(challenge)
  if (redirectUri === null || !isSound)
    return sendPage(response, 400, 'This is no sign-in', '<p>Open the bank instead.</p>\n')
  const name = body.get('login') ?? ''
  if (method !== 'POST' || !names.includes(name))
    return sendPage(response, 200, 'Who are you?', choiceOf(names))
  const [oldest] = codes.keys()
  if (codes.size >= MOST_CODES && oldest !== undefined) codes.delete(oldest)
  const code = randomBytes(16).toString('base64url')
  codes.set(code, {
    name,
    redirectUri: redirectUri.href,
    challenge,
    nonce: query.get('nonce'),
    atMs: clock.nowMs(),
  })
  const back = new URL(redirectUri)
  back.searchParams.set('code', code)
  back.searchParams.set('state', query.get('state') ?? '')
  back.searchParams.set('iss', issuer)
  sendElsewhere(response, back.href)
}

const choiceOf = (
  names: readonly string[],
): string => `<p>The demo's identity provider believes whatever you say.</p>
<form method="post">
${names.map((name) => `<button name="login" value="${escapeHtml(name)}">Sign in as ${escapeHtml(name)}</button>\n`).join('')}</form>
`

/** A code is good once, for who asked for it. @see https://www.rfc-editor.org/rfc/rfc7636#section-4.6 */
const redeem = async (
  { method, body, response }: Call,
  { signIdToken, clock }: LoginProviderOptions,
  codes: Map<string, Code>,
): Promise<void> => {
  const code = body.get('code') ?? ''
  const found = codes.get(code)
  codes.delete(code)
  const challenge = createHash('sha256')
    .update(body.get('code_verifier') ?? '')
    .digest('base64url')
  const isGood =
    method === 'POST' &&
    body.get('grant_type') === 'authorization_code' &&
    body.get('client_id') === LOGIN_CLIENT &&
    found !== undefined &&
    found.challenge === challenge &&
    found.redirectUri === body.get('redirect_uri') &&
    clock.nowMs() - found.atMs < CODE_LIFETIME_MS
  if (!isGood) return sendJson(response, 400, { error: 'invalid_grant' })
  const idToken = await signIdToken(found.name, {
    auth_time: Math.floor(found.atMs / 1000),
    ...(found.nonce === null ? {} : { nonce: found.nonce }),
  })
  return sendJson(response, 200, {
    access_token: randomBytes(16).toString('base64url'),
    token_type: 'Bearer',
    expires_in: CODE_LIFETIME_MS / 1000,
    id_token: idToken,
  })
}

const signOut = ({ query, response }: Call): void => {
  const back = ownGateway(query.get('post_logout_redirect_uri'), '/')
  if (back !== null) return sendElsewhere(response, back.href)
  return sendPage(response, 200, 'You are signed out', '')
}

/** The address when it is that page of a gateway on this machine, whatever its port. */
const ownGateway = (address: string | null, path: string): URL | null => {
  if (address === null || !URL.canParse(address)) return null
  const url = new URL(address)
  const isOwn = url.protocol === 'http:' && isLoopback(url.hostname) && url.pathname === path
  return isOwn && url.search === '' && url.hash === '' && url.username === '' ? url : null
}

const sendElsewhere = (response: ServerResponse, location: string): void => {
  response.writeHead(303, { location, 'cache-control': 'no-store' }).end()
}

const sendJson = (response: ServerResponse, status: number, body: object): void => {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  response.end(JSON.stringify(body))
}

const sendPage = (response: ServerResponse, status: number, title: string, content: string): void => {
  response.writeHead(status, {
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
  })
  response.end(localPage(title, content))
}
