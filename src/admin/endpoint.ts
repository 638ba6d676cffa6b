import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import type { Permission } from '../config/configuration.ts'
import type { JsonValue } from '../core/json.ts'

/** One thing that the admin port can be asked. */
export interface Endpoint {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** Such as `/v1/decisions/{id}`; a literal segment goes before a parameter. */
  readonly path: string
  /** Null: open to whoever reaches the port. */
  readonly permission: Permission | null
  readonly handle: (asked: AdminRequest) => AdminAnswer | Promise<AdminAnswer>
}

/** A request that may be answered. */
export interface AdminRequest {
  /** What stands in the path in place of the parameter, decoded; empty when there is none. */
  readonly parameter: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
  /** Of POST; null otherwise. */
  readonly body: JsonValue
  /** Name of the caller's token; empty where none is wanted. */
  readonly caller: string
  /** False as soon as the token is not valid any more, or may not do this any more. */
  readonly isStillAllowed: () => boolean
  /** Aborted when the caller goes away. */
  readonly signal: AbortSignal
}

export interface PlainAnswer {
  readonly status: number
  readonly contentType: string
  readonly text: string
  /** Flat name, value pairs. */
  readonly headers?: readonly string[]
}

/** An answer that writes itself; what it leaves open ends with the connection. */
export interface StreamedAnswer {
  readonly stream: (response: ServerResponse) => void
}

export type AdminAnswer = PlainAnswer | StreamedAnswer
