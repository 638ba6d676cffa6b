import { type Agent, request } from 'undici'
import { type ClientIdentity, proveClient } from '../../core/client-authentication.ts'
import { isToken } from './credentials-config.ts'

/** A token for an application. */
export interface IssuedToken {
  readonly token: string
  /** Milliseconds since the epoch; for one that does not say, a minute from now. */
  readonly expiresAtMs: number
}

/** Why there is no token; `isRefused`: because of what was asked for, and not because the server is in trouble. */
export interface NoToken {
  readonly failure: string
  readonly isRefused: boolean
}

export interface TokenEndpoint {
  readonly url: string
  readonly client: ClientIdentity
  readonly agent: Agent
  readonly timeoutMs: number
  /** True: a token that is no bearer token is fine (`N_A`). */
  readonly anyType: boolean
}

const MOST_BYTES = 256 * 1024
const DEFAULT_LIFE_SECONDS = 60
const MOST_LIFE_SECONDS = 24 * 60 * 60

/**
 * Asks for a token.
 *
 * Never throws for what the other side does; redirects are not followed.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6749#section-5
 */
export const requestToken = async (
  endpoint: TokenEndpoint,
  parameters: Readonly<Record<string, string>>,
  nowMs: number,
): Promise<IssuedToken | NoToken> => {
  const proof = proveClient(endpoint.client, nowMs)
  const controller = new AbortController()
  const timer = setTimeout(() => controller.abort(), endpoint.timeoutMs)
  try {
    const answer = await settled(
      post(endpoint, { ...parameters, ...proof.parameters }, proof.headers, controller.signal),
      controller.signal,
    )
    return typeof answer === 'string' ? inTrouble(answer) : readAnswer(answer, endpoint.anyType, nowMs)
  } catch (error) {
    if (controller.signal.aborted) return inTrouble(`did not answer in ${endpoint.timeoutMs} ms`)
    return inTrouble(
      `could not be reached (${error instanceof Error && 'code' in error ? String(error.code) : 'no code'})`,
    )
  } finally {
    clearTimeout(timer)
  }
}

const inTrouble = (failure: string): NoToken => ({ failure, isRefused: false })

// The client looks at its signal only once it is connected; a deadline must also hold before that.
const settled = <T>(work: Promise<T>, signal: AbortSignal): Promise<T> =>
  Promise.race([
    work,
    new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    }),
  ])

interface Answer {
  readonly status: number
  readonly json: unknown
}

const post = async (
  { url, agent }: TokenEndpoint,
  parameters: Readonly<Record<string, string>>,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Answer | string> => {
  const { statusCode: status, body } = await request(url, {
    method: 'POST',
    dispatcher: agent,
    signal,
    headers: {
      accept: 'application/json',
      'user-agent': 'sallyport',
      ...headers,
      'content-type': 'application/x-www-form-urlencoded',
    },
    body: new URLSearchParams(parameters).toString(),
  })
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body) {
    const bytes = Buffer.from(chunk)
    length += bytes.length
    if (length > MOST_BYTES) return `answered more than ${MOST_BYTES} bytes`
    chunks.push(bytes)
  }
  try {
    return { status, json: JSON.parse(Buffer.concat(chunks).toString('utf8')) }
  } catch {
    return `answered ${status} without JSON`
  }
}

/** Errors that say something of who asks for whom; all others are the gateway's, or the server's, own. */
const REFUSALS: ReadonlySet<unknown> = new Set([
  'invalid_grant',
  'invalid_target',
  'access_denied',
  'invalid_request',
])
const CODE = /^[a-z_]{1,64}$/

const readAnswer = ({ status, json }: Answer, anyType: boolean, nowMs: number): IssuedToken | NoToken => {
  if (typeof json !== 'object' || json === null) return inTrouble(`answered ${status} without an object`)
  if (status !== 200) {
    const error: unknown = Reflect.get(json, 'error')
    const code = typeof error === 'string' && CODE.test(error) ? error : 'no error code'
    return { failure: `answered ${status} (${code})`, isRefused: status === 400 && REFUSALS.has(error) }
  }
  const token: unknown = Reflect.get(json, 'access_token')
  const type: unknown = Reflect.get(json, 'token_type')
  const seconds: unknown = Reflect.get(json, 'expires_in')
  if (typeof token !== 'string' || !isToken(token)) return inTrouble('answered no token')
  if (!anyType && (typeof type !== 'string' || type.toLowerCase() !== 'bearer')) {
    return inTrouble('answered a token that is no bearer token')
  }
  const life =
    typeof seconds === 'number' && seconds > 0 ? Math.min(seconds, MOST_LIFE_SECONDS) : DEFAULT_LIFE_SECONDS
  return { token, expiresAtMs: nowMs + life * 1000 }
}
