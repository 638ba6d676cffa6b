import { type Refusal, type RefusalCode, refuse } from '../../core/refusals.ts'

/** Why an application did not answer; nothing of the answer was sent on. */
export interface UpstreamFailure {
  /** Of undici (`UND_ERR_…`), the system (`ECONNREFUSED`), or ours (`SALLYPORT_…`). */
  readonly code: string
  /** True when some of an answer had arrived. */
  readonly answered: boolean
  /** True when nothing of the request had been sent: it cannot have had an effect. */
  readonly unsent?: boolean
}

/** An answer that cannot be passed on. */
export const BAD_ANSWER = 'SALLYPORT_BAD_ANSWER'
/** Not an answer of HTTP/1 at all; undici gives no code for it. */
export const NOT_HTTP = 'SALLYPORT_NOT_HTTP'
/** No connection of `maxConnections` became free in time. */
export const NO_CONNECTION = 'SALLYPORT_NO_CONNECTION'

/** The caller took nothing of the answer for too long. */
export const STALLED = 'SALLYPORT_STALLED'

const REFUSAL_OF: ReadonlyMap<string, RefusalCode> = new Map([
  ['ETIMEDOUT', 'upstream_timeout'],
  ['UND_ERR_CONNECT_TIMEOUT', 'upstream_timeout'],
  ['UND_ERR_HEADERS_TIMEOUT', 'upstream_timeout'],
  // We asked undici for something that cannot be sent: our mistake, not the application's.
  ['UND_ERR_INVALID_ARG', 'internal'],
  ['UND_ERR_NOT_SUPPORTED', 'internal'],
])

const CERTIFICATE_ERROR =
  /^(?:CERT_|CRL_|ERR_TLS_CERT_|SELF_SIGNED_|DEPTH_ZERO_|UNABLE_TO_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE)/

/** True when the application was reached, but is not known to be who it should be. */
export const isCertificateError = (code: string): boolean => CERTIFICATE_ERROR.test(code)

/** @param upstream the name of the upstream, for operators. */
export const refusalOf = (failure: UpstreamFailure, upstream: string): Refusal =>
  refuse(
    'enforce',
    REFUSAL_OF.get(failure.code) ?? 'upstream_unavailable',
    `upstream ${upstream} failed with ${failure.code}`,
  )

const STALE: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'])
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

/**
 * True when asking twice is meant to have the effect of asking once.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2
 */
export const isIdempotent = (method: string): boolean => IDEMPOTENT.has(method)

/** True when a kept connection may have been closed just as the request was sent. */
export const isStale = ({ answered, code }: UpstreamFailure): boolean => !answered && STALE.has(code)

/** True when the origin did not answer what it had been sent. */
export const isUnanswered = ({ answered, unsent = false, code }: UpstreamFailure): boolean =>
  !answered && !unsent && (STALE.has(code) || code === 'UND_ERR_HEADERS_TIMEOUT')

/** Of what this gateway lacks, not the origin. */
const OURS: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'EADDRNOTAVAIL'])

/** All else that undici says before it sends is of this gateway: it is closing, or asked for what cannot be sent. */
const CONNECTING: ReadonlySet<string> = new Set(['UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_SOCKET'])

/** True when no connection to the origin came about, so that another one may be asked, whatever the request. */
export const mayGoElsewhere = ({ unsent = false, code }: UpstreamFailure): boolean =>
  unsent && (CONNECTING.has(code) || !code.startsWith('UND_ERR_'))

/** True for an error of connecting that says something of the origin. */
export const isOriginsFault = (code: string): boolean => !OURS.has(code)

/** Of an error that a system or a library gives; its name where it has no code of letters. */
export const codeOf = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  const code: unknown = Reflect.get(error, 'code')
  return typeof code === 'string' ? code : error.name
}
