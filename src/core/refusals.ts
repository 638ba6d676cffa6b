import type { JsonObject } from './json.ts'

/** The stage that refused; also the `source` of a refusal in its record. */
export type Stage = 'accept' | 'authenticate' | 'bind' | 'decide' | 'enforce' | 'record'

interface RefusalEntry {
  readonly status: number
  readonly title: string
  /** Of the answer that sends a page elsewhere instead; left out where nothing else can help. */
  readonly elsewhere?: number
}

/** Every way to say no, and the only place where a code becomes a status. */
export const REFUSALS = {
  bad_request: { status: 400, title: 'The request is not acceptable' },
  unauthenticated: { status: 401, title: 'Authentication is required', elsewhere: 302 },
  denied: { status: 403, title: 'Access is denied' },
  no_route: { status: 404, title: 'Nothing is here' },
  request_timeout: { status: 408, title: 'The request took too long to arrive' },
  too_large: { status: 413, title: 'The request body is too large' },
  expectation_failed: { status: 417, title: 'The expectation cannot be met' },
  rate_limited: { status: 429, title: 'Too many requests' },
  headers_too_large: { status: 431, title: 'The request header block is too large' },
  internal: { status: 500, title: 'Internal error' },
  upstream_unavailable: { status: 502, title: 'The application cannot be reached' },
  engine_unavailable: { status: 503, title: 'No decision could be made' },
  authenticator_unavailable: { status: 503, title: 'Authentication is not possible at present' },
  audit_unavailable: { status: 503, title: 'The decision could not be recorded' },
  revocation_unavailable: { status: 503, title: 'Revocations are not known at present' },
  upstream_timeout: { status: 504, title: 'The application did not answer in time' },
} as const satisfies Readonly<Record<string, RefusalEntry>>

export type RefusalCode = keyof typeof REFUSALS

/** What the caller gets: the status of the code, or of being sent elsewhere. */
export const statusOf = ({ refusal, elsewhere }: Refusal): number => {
  const entry: RefusalEntry = REFUSALS[refusal]
  return elsewhere === undefined ? entry.status : (entry.elsewhere ?? entry.status)
}

const HIGHEST_CLIENT_ERROR = 499

/**
 * The status of a refusal for a proxy that asks by `forward-auth`: 401, 403 or 503.
 *
 * nginx takes 2xx for an allow and understands 401 and 403; anything else is a failure to it, as 503 is meant to be.
 */
export const forwardAuthStatus = (code: RefusalCode): number => {
  const { status } = REFUSALS[code]
  if (status > HIGHEST_CLIENT_ERROR) return REFUSALS.engine_unavailable.status
  return status === REFUSALS.unauthenticated.status ? status : REFUSALS.denied.status
}

/** What a mapping read of a request. */
export interface MappingReads {
  /** Hash of the mapping. */
  readonly mapping: string
  /** Left out where the request could not be read as the mapping wants it. */
  readonly inputs?: JsonObject
  /** Labels of what it looked for in vain. */
  readonly absent?: readonly string[]
}

/**
 * An expected failure: the request goes no further, but is still answered and recorded.
 *
 * `detail` is for operators (record and log) and must never hold a credential;
 * `publicDetail` is the only free text that the caller sees.
 */
export interface Refusal {
  readonly refusal: RefusalCode
  readonly stage: Stage
  readonly detail: string
  readonly publicDetail?: string
  /** Response headers of the refusal, such as `WWW-Authenticate`; flat name, value, name, value. */
  readonly headers?: readonly string[]
  /** What a mapping had read when it refused, for the record. */
  readonly read?: MappingReads
  /** Where a page can get what it lacks: a path of the same origin. Only for codes that name a status for it. */
  readonly elsewhere?: string
  /** Answered in place of problem details, where a protocol has a form of its own. */
  readonly json?: JsonObject
}

export const isRefusal = (value: object): value is Refusal => 'refusal' in value

export const refuse = (
  stage: Stage,
  refusal: RefusalCode,
  detail: string,
  more: Pick<Refusal, 'publicDetail' | 'headers' | 'elsewhere'> = {},
): Refusal => ({ refusal, stage, detail, ...more })
