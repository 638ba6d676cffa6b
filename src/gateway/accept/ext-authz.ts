import type { RequestHead } from '../../core/exchange.ts'
import { type HeaderPairs, headerValues } from '../../core/headers.ts'
import type { Refusal } from '../../core/refusals.ts'
import type { PeerTrust } from './client-address.ts'
import { badQuestion, type DescribedRequest, NOT_OF_THE_REQUEST, UNTRUSTED } from './described-request.ts'

/** What Envoy says of the request's body, not the caller. */
const OF_ENVOY: ReadonlySet<string> = new Set(['x-envoy-auth-partial-body', 'x-envoy-internal'])

/**
 * Makes the function that reads the request which Envoy asks about: its method, path and Host are those of the
 * question, behind a prefix.
 *
 * The client's address is that of `X-Forwarded-For`, over all proxies that are trusted, where Envoy passes it on, and
 * the scheme that of `X-Forwarded-Proto`; without them they are those of Envoy's own connection.
 *
 * @param pathPrefix Envoy's `path_prefix`; may be empty.
 */
export const createExtAuthzReader =
  (trust: PeerTrust, pathPrefix: string) =>
  (head: RequestHead): DescribedRequest | Refusal => {
    if (!trust.trusts(head)) return UNTRUSTED
    if (!head.target.startsWith(`${pathPrefix}/`))
      return badQuestion('a path without the prefix of this listener')
    const scheme = schemeOf(head)
    if (scheme === null) return badQuestion('an X-Forwarded-Proto header that makes no sense')
    const ip = trust.clientAddress(head.remoteAddress, headerValues(head.headers, 'x-forwarded-for'))
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

const schemeOf = ({ headers, tls }: RequestHead): 'http' | 'https' | null => {
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
