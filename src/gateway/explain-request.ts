import { Readable } from 'node:stream'
import type { Subject } from '../core/access-request.ts'
import type { Exchange } from '../core/exchange.ts'
import type { HeaderPairs } from '../core/headers.ts'
import type { JsonObject } from '../core/json.ts'

/** A request that is to be explained. */
export interface AskedRequest {
  /** @param listener the `bind` of the listener that it is taken to come in by. */
  readonly exchange: (listener: string) => Exchange
  /** Where it is taken to come from. */
  readonly ip: string
  /** Taken as verified by the first authenticator of the route that maps claims; null: what the headers carry counts. */
  readonly claims: JsonObject | null
  /** Who it is taken to be, whatever the claims would make of that. */
  readonly subject?: Subject
  /** The one authenticator that takes the claims. */
  readonly authenticator?: string
}

export interface DescribedRequest {
  readonly method: string
  /** Absolute, as a client would send it; it is not normalised. */
  readonly url: string
  readonly headers: HeaderPairs
  readonly body: Buffer | null
  readonly claims: JsonObject | null
  readonly subject?: Subject
  readonly authenticator?: string
  /** Whose connection it comes by, the caller's or a proxy's; default this machine. */
  readonly ip?: string
}

const URL_FORM = /^(https?):\/\/([^/?#]+)(.*)$/is

/**
 * Makes a request as it would have come over a connection from `ip`.
 *
 * `Host` is that of the URL, the body is JSON and its length is known, unless the headers say otherwise.
 *
 * @param signal ends a wait for an engine or a key.
 */
export const describedRequest = (
  described: DescribedRequest,
  signal?: AbortSignal,
): AskedRequest | { readonly mistake: string } => {
  const { method, url, body, claims, subject, authenticator, ip = '127.0.0.1' } = described
  const match = URL_FORM.exec(url)
  if (match === null)
    return { mistake: `found '${url}', expected a URL such as https://bank.example.com/accounts/42` }
  const [, scheme = '', authority = '', rest = ''] = match
  const has = (lowerName: string): boolean =>
    described.headers.some((text, index) => index % 2 === 0 && text.toLowerCase() === lowerName)
  const headers = [...(has('host') ? [] : ['Host', authority]), ...described.headers]
  if (body !== null) {
    if (!has('content-type')) headers.push('Content-Type', 'application/json')
    if (!has('content-length')) headers.push('Content-Length', String(body.length))
  }
  const target = rest.startsWith('/') ? rest : `/${rest}`
  const tls = scheme.toLowerCase() === 'https'
  const head = { method, target, headers, tls, httpVersion: '1.1', remoteAddress: ip } as const
  const assumed = {
    ip,
    claims,
    ...(subject === undefined ? {} : { subject }),
    ...(authenticator === undefined ? {} : { authenticator }),
  }
  return { ...assumed, exchange: (listener) => inertExchange({ ...head, listener }, body, signal) }
}

/** An exchange whose answer goes nowhere. */
const inertExchange = (
  head: Exchange['head'],
  body: Buffer | null,
  signal = new AbortController().signal,
): Exchange => ({
  head,
  body: Readable.from(body === null ? [] : [body], { objectMode: false }),
  reply: {
    headSent: () => false,
    informational: () => undefined,
    head: () => undefined,
    write: () => true,
    onDrain: () => undefined,
    trailers: () => undefined,
    end: () => undefined,
    abort: () => undefined,
  },
  onGone: () => () => undefined,
  signal: () => signal,
})
