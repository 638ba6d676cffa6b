import { type HeaderPairs, headerValues } from './headers.ts'

/** Which pages of other origins may use a route from a browser. */
export interface Cors {
  /** Serialised origins, such as `https://app.example.com`; `*` alone is every one. */
  readonly origins: readonly string[]
  readonly methods: readonly string[]
  /** In lower case. */
  readonly headers: readonly string[]
  readonly exposeHeaders: readonly string[]
  readonly credentials: boolean
  readonly maxAgeSeconds: number
}

/** The one `Origin` of a request; null when there is none, or several. */
export const originOf = (headers: HeaderPairs): string | null => {
  const [origin, ...more] = headerValues(headers, 'origin')
  return origin === undefined || more.length > 0 ? null : origin
}

const allowsOrigin = ({ origins }: Cors, origin: string): boolean =>
  origins.includes(origin) || origins.includes('*')

/**
 * The fields by which a browser lets a page read an answer; those of the application are replaced by them.
 *
 * Without `credentials` and with `*` the answer is the same for every origin, else it varies with it.
 *
 * @see https://fetch.spec.whatwg.org/#http-responses
 */
export const corsHeaders = (cors: Cors, requestHeaders: HeaderPairs): readonly string[] => {
  const anyone = cors.origins.includes('*') && !cors.credentials
  const vary = anyone ? [] : ['Vary', 'Origin']
  const origin = originOf(requestHeaders)
  if (origin === null || !allowsOrigin(cors, origin)) return vary
  const headers = ['Access-Control-Allow-Origin', anyone ? '*' : origin, ...vary]
  if (cors.credentials) headers.push('Access-Control-Allow-Credentials', 'true')
  if (cors.exposeHeaders.length > 0)
    headers.push('Access-Control-Expose-Headers', cors.exposeHeaders.join(', '))
  return headers
}

/** What a browser asks before it sends a request that is not simple. */
export interface Preflight {
  readonly origin: string
  readonly method: string
  /** In lower case. */
  readonly headers: readonly string[]
}

/**
 * The preflight that a request is; null for any other request.
 *
 * @see https://fetch.spec.whatwg.org/#cors-preflight-fetch
 */
export const readPreflight = (method: string, headers: HeaderPairs): Preflight | null => {
  if (method !== 'OPTIONS') return null
  const origin = originOf(headers)
  const [wanted, ...more] = headerValues(headers, 'access-control-request-method')
  if (origin === null || wanted === undefined || wanted === '' || more.length > 0) return null
  const names = headerValues(headers, 'access-control-request-headers').flatMap((value) => value.split(','))
  return {
    origin,
    method: wanted,
    headers: names.map((name) => name.trim().toLowerCase()).filter((name) => name !== ''),
  }
}

/** Why a preflight is not allowed; null when it is. */
export const preflightMistake = (cors: Cors, preflight: Preflight): string | null => {
  if (!allowsOrigin(cors, preflight.origin)) return 'an origin that the route does not allow'
  if (!cors.methods.includes(preflight.method))
    return 'a method that the route does not allow to other origins'
  if (preflight.headers.some((name) => !cors.headers.includes(name)))
    return 'a header that the route does not allow to other origins'
  return null
}

/** The fields of the answer to a preflight that is allowed. */
export const preflightHeaders = (cors: Cors, requestHeaders: HeaderPairs): readonly string[] => [
  ...corsHeaders({ ...cors, exposeHeaders: [] }, requestHeaders),
  ...['Access-Control-Allow-Methods', cors.methods.join(', ')],
  ...(cors.headers.length > 0 ? ['Access-Control-Allow-Headers', cors.headers.join(', ')] : []),
  ...['Access-Control-Max-Age', String(cors.maxAgeSeconds)],
]
