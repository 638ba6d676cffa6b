import type { Dialect } from './dialect.ts'
import type { HeaderPairs } from './headers.ts'
import type { PeerCertificate } from './peer-certificate.ts'
import type { Route } from './route.ts'

/** What can be said of a request even if it was refused at the door; empty strings where unknown. */
export interface RequestFacts {
  /** UUIDv7, made here. */
  readonly id: string
  readonly method: string
  /** Lower case, without port and trailing dot. */
  readonly host: string
  /** The canonical path, or the path as it came when it has no canonical form. */
  readonly path: string
  /** The client's address after trusted proxies; IPv4-mapped addresses are IPv4. */
  readonly ip: string
  readonly receivedAtMs: number
  /** W3C `traceparent` of the caller when it is well-formed. */
  readonly traceparent?: string | undefined
}

/** The one spelling of a request that is matched, mapped and forwarded. */
export interface CanonicalRequest extends RequestFacts {
  readonly scheme: 'http' | 'https'
  /** `host` or `host:port`, as it is forwarded. */
  readonly authority: string
  /** Empty, or starts with `?`; a bare `?` stays. */
  readonly query: string
  /** `path` and `query`: the request target that is forwarded. */
  readonly target: string
  /** The target as it was sent, for signatures over it. */
  readonly originalTarget: string
  /** Every field as it came, checked. */
  readonly headers: HeaderPairs
  /** `headers`' names in lower case: `names[i]` belongs to `headers[2 * i]`. */
  readonly names: readonly string[]
  /** True when the caller's connection, or a trusted proxy's, is encrypted. */
  readonly tls: boolean
  readonly remoteAddress: string
  /** The caller's, as the listener or a trusted proxy has seen it. */
  readonly peerCertificate?: PeerCertificate | null
  /** The same object whenever the request is taken again from the start, and another one for any other; says nothing. */
  readonly arrival?: object
}

/** A canonical request and the one route that it belongs to. */
export interface Accepted {
  readonly request: CanonicalRequest
  readonly route: Route
  /** Captures of the path template, decoded once. */
  readonly path: Readonly<Record<string, string>>
  /** How it was asked; left out: it is the caller's own request. */
  readonly dialect?: Dialect
}
