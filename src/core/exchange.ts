import type { Duplex, Readable } from 'node:stream'
import type { Departure } from './departure.ts'
import type { HeaderPairs } from './headers.ts'
import type { PeerCertificate } from './peer-certificate.ts'

/** What the transport read of a request before its body, not interpreted. */
export interface RequestHead {
  readonly method: string
  readonly target: string
  readonly httpVersion: '1.0' | '1.1'
  readonly headers: HeaderPairs
  /** The peer of the socket; an IPv4-mapped IPv6 address is still in its IPv6 form. */
  readonly remoteAddress: string
  /** The id of the listener that it came in by. */
  readonly listener: string
  readonly tls: boolean
  /** What the caller has shown where the listener asks for a client certificate; it has been checked. */
  readonly peerCertificate?: PeerCertificate | null
  /** Of a listener that speaks `ext-authz-grpc` alone. */
  readonly askedBy?: AskedBy
}

/** What Envoy says of a request, beside the request, where it asks by gRPC. */
export interface AskedBy {
  /** The peer of its own connection; empty when that is no IP address. */
  readonly sourceAddress: string
  readonly scheme: string
  /** True when headers that were repeated cannot be told from those with a comma. */
  readonly isMerged: boolean
  /** True when it names a part of the target that does not belong to the path. */
  readonly hasOddParts: boolean
}

/** The way back to the caller. */
export interface Reply {
  readonly headSent: () => boolean
  /** A 1xx answer, such as 103; ignored after the head. */
  readonly informational: (status: number, headers: HeaderPairs) => void
  /** Sends status line and fields, exactly these; the transport adds only framing that is missing. */
  readonly head: (status: number, reason: string, headers: HeaderPairs) => void
  /** False when the caller reads too slowly: wait for `onDrain`. */
  readonly write: (chunk: Buffer) => boolean
  readonly onDrain: (listener: () => void) => void
  readonly trailers: (headers: HeaderPairs) => void
  readonly end: (chunk?: Buffer | string) => void
  /** Resets the connection, so that a cut answer cannot look complete. */
  readonly abort: () => void
}

/** A WebSocket handshake: it can be granted instead of being replied to. */
export interface Upgrade {
  /**
   * Sends `101 Switching Protocols` with exactly these fields and gives the caller's connection away, with whatever
   * the caller has sent behind its handshake. Nothing can be replied afterwards.
   */
  readonly accept: (headers: HeaderPairs) => Duplex
  /** Calls back when whoever has the connection should end it soon; at once if that is so now. */
  readonly onGoAway: (listener: () => void) => void
}

/**
 * One request and the way to answer it; what a transport hands to the pipeline.
 *
 * Its caller has gone when the connection ends before the answer is complete.
 */
export interface Exchange extends Departure {
  readonly head: RequestHead
  /**
   * The request body with its transfer coding removed; empty when there is none.
   *
   * Asked for with `100 Continue` when it is first read. When the rest never comes it fails, by an error for
   * which `isRefusal` holds when that is the caller's fault: answer by it, if nothing was answered yet.
   */
  readonly body: Readable
  readonly reply: Reply
  /** There when the request is a WebSocket handshake. */
  readonly upgrade?: Upgrade
}
