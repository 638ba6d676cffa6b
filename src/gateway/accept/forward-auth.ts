import type { RequestHead } from '../../core/exchange.ts'
import { type HeaderPairs, headerValues } from '../../core/headers.ts'
import type { Refusal } from '../../core/refusals.ts'
import { canonicalHost } from './canonical-host.ts'
import type { PeerTrust } from './client-address.ts'
import {
  badQuestion,
  type DescribedRequest,
  KNOWN_METHODS,
  NOT_OF_THE_REQUEST,
  UNTRUSTED,
} from './described-request.ts'

const READ = ['method', 'proto', 'host', 'uri', 'for'] as const

const OF_THE_QUESTION: ReadonlySet<string> = new Set(['forwarded', 'host'])

// Traefik says ws and wss of a request to upgrade.
const SCHEMES: ReadonlyMap<string, 'http' | 'https'> = new Map([
  ['http', 'http'],
  ['https', 'https'],
  ['ws', 'http'],
  ['wss', 'https'],
])

/**
 * Makes the function that reads the request which another proxy asks about, of the five headers that say it.
 *
 * What the proxy passes on of the caller's own headers stays; the method, target and host of the question itself say
 * nothing. Each of the five must be there once. Does not check: anything else about the request that is described.
 */
export const createForwardAuthReader =
  (trust: PeerTrust) =>
  (head: RequestHead): DescribedRequest | Refusal => {
    if (!trust.trusts(head)) return UNTRUSTED
    const told = readTold(head.headers)
    if ('refusal' in told) return told
    const { method, proto, host, uri, for: forwardedFor } = told
    const scheme = SCHEMES.get(proto.toLowerCase())
    const ip = trust.clientAddress(head.remoteAddress, [forwardedFor])
    if (!KNOWN_METHODS.has(method)) return senseless('method')
    if (scheme === undefined) return senseless('proto')
    if (canonicalHost(host) === null) return senseless('host')
    if (!uri.startsWith('/')) return senseless('uri')
    if (ip === null) return senseless('for')
    return {
      head: {
        ...head,
        method,
        target: uri,
        httpVersion: '1.1',
        tls: scheme === 'https',
        // That of the proxy says nothing of the caller.
        peerCertificate: null,
        headers: ['Host', host, ...ownHeaders(head.headers)],
      },
      client: { ip, scheme, host: null },
    }
  }

type Told = Readonly<Record<(typeof READ)[number], string>>

const readTold = (headers: HeaderPairs): Told | Refusal => {
  const told: Record<(typeof READ)[number], string> = { method: '', proto: '', host: '', uri: '', for: '' }
  for (const part of READ) {
    const [value, ...others] = headerValues(headers, `x-forwarded-${part}`)
    if (value === undefined) return badQuestion(`no X-Forwarded-${titleOf(part)} header`)
    if (others.length > 0) return badQuestion(`several X-Forwarded-${titleOf(part)} headers`)
    told[part] = value
  }
  return told
}

const titleOf = (part: string): string => part.charAt(0).toUpperCase() + part.slice(1)

const senseless = (part: (typeof READ)[number]): Refusal =>
  badQuestion(`an X-Forwarded-${titleOf(part)} header that makes no sense`)

/** The caller's fields; a handshake that a proxy does not pass on as such is still known as one. */
const ownHeaders = (headers: HeaderPairs): string[] => {
  const own: string[] = []
  let upgrades = false
  let handshake = false
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    const lowerName = name.toLowerCase()
    if (NOT_OF_THE_REQUEST.has(lowerName) || OF_THE_QUESTION.has(lowerName)) continue
    if (lowerName.startsWith('x-forwarded-')) continue
    if (lowerName === 'upgrade') upgrades = true
    if (lowerName === 'sec-websocket-key') handshake = true
    own.push(name, headers[index + 1] ?? '')
  }
  if (handshake && !upgrades) own.push('Upgrade', 'websocket')
  return own
}
