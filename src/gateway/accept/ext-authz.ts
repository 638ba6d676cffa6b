import type { RequestHead } from '../../core/exchange.ts'
import { type HeaderPairs, headerValues } from '../../core/headers.ts'
import type { Refusal } from '../../core/refusals.ts'
import type { PeerTrust } from './client-address.ts'
import {
  badQuestion,
  type DescribedRequest,
  KNOWN_METHODS,
  NOT_OF_THE_REQUEST,
  UNTRUSTED,
} from './described-request.ts'

/** What Envoy says of the request's body, not the caller. */
const OF_ENVOY: ReadonlySet<string> = new Set(['x-envoy-auth-partial-body', 'x-envoy-internal'])

/**
 * Makes the function that reads the request which Envoy asks about: its method, path and Host are those of the
 * question, behind a prefix.
 *
 * By gRPC all of that is in a message, where the headers of the request may have been merged. Then a comma in one that
 * must not be repeated is refused: it could stand for two.
 *
 * The client's address is that of `X-Forwarded-For`, over all proxies that are trusted, where Envoy passes it on, and
 * the scheme that of `X-Forwarded-Proto`; without them they are those of Envoy's own connection.
 *
 * @param options.pathPrefix Envoy's `path_prefix`; default none.
 * @param options.unrepeatable lower-case names.
 */
export const createExtAuthzReader =
  (trust: PeerTrust, { pathPrefix = '', unrepeatable = NOTHING }: ExtAuthzOptions) =>
  (head: RequestHead): DescribedRequest | Refusal => {
    if (!trust.trusts(head)) return UNTRUSTED
    if (!KNOWN_METHODS.has(head.method)) return badQuestion('a method that HTTP does not know')
    if (!head.target.startsWith(`${pathPrefix}/`))
      return badQuestion('a path without the prefix of this listener')
    const scheme = schemeOf(head)
    if (scheme === null) return badQuestion('an X-Forwarded-Proto header that makes no sense')
    if (head.askedBy?.hasOddParts === true) return badQuestion('a target in more than one part')
    if (head.askedBy?.isMerged === true && hasMerged(head.headers, unrepeatable))
      return badQuestion('a header with a comma that may stand for two')
    const ip = trust.clientAddress(head.remoteAddress, addressesOf(head))
    if (ip === null) return badQuestion('an X-Forwarded-For header that makes no sense')
    return {
      head: {
        ...head,
        target: head.target.slice(pathPrefix.length),
        httpVersion: '1.1',
        tls: scheme === 'https',
        // That of Envoy says nothing of the caller.
        peerCertificate: null,
        headers: ownHeaders(head.headers),
      },
      client: { ip, scheme, host: null },
    }
  }

export interface ExtAuthzOptions {
  readonly pathPrefix?: string
  readonly unrepeatable?: ReadonlySet<string>
}

const NOTHING: ReadonlySet<string> = new Set()

/** Envoy adds its own peer to `X-Forwarded-For`, and tells it besides where it asks by gRPC. */
const addressesOf = ({ headers, askedBy }: RequestHead): readonly string[] => {
  const listed = headerValues(headers, 'x-forwarded-for')
  return listed.length > 0 || askedBy === undefined || askedBy.sourceAddress === ''
    ? listed
    : [askedBy.sourceAddress]
}

const hasMerged = (headers: HeaderPairs, unrepeatable: ReadonlySet<string>): boolean =>
  headers.some(
    (text, index) => index % 2 === 0 && unrepeatable.has(text) && (headers[index + 1] ?? '').includes(','),
  )

const schemeOf = ({ headers, tls, askedBy }: RequestHead): 'http' | 'https' | null => {
  const said = askedBy?.scheme
  if (said === 'http' || said === 'https') return said
  const [scheme, ...others] = headerValues(headers, 'x-forwarded-proto')
  if (scheme === undefined) return tls ? 'https' : 'http'
  return others.length === 0 && (scheme === 'http' || scheme === 'https') ? scheme : null
}

const ownHeaders = (headers: HeaderPairs): string[] => {
  const own: string[] = []
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    const lowerName = name.toLowerCase()
    if (NOT_OF_THE_REQUEST.has(lowerName) || OF_ENVOY.has(lowerName)) continue
    own.push(name, headers[index + 1] ?? '')
  }
  return own
}
