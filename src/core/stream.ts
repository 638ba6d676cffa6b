import type { Refusal } from './refusals.ts'

/** What an allowed request has become: an exchange of any length, server-sent events, or a WebSocket. */
export type StreamKind = 'transfer' | 'events' | 'websocket'

/** How a route's streams live on. */
export interface StreamRules {
  /** A stream is decided again so often, and when its grant ends. */
  readonly recheckMs: number
  readonly onCredentialExpiry: 'close' | 'continue'
}

/** Which tasks a route's requests may belong to. */
export interface TaskRules {
  readonly required: boolean
  /** From its first request on. */
  readonly maxLifeMs: number
}

/** The task that a request belongs to. */
export interface TaskReference {
  readonly id: string
  readonly deadlineMs: number
}

/** Who ended a stream: `complete` when nothing was missing, `gateway` when it was stopped. */
export type StreamEnder = 'complete' | 'caller' | 'application' | 'gateway'

/** Who ended a stream, or why the gateway did. */
export type StreamEndReason =
  | StreamEnder
  | 'revoked'
  | 'denied'
  | 'credential_expired'
  | 'task_over'
  | 'route_changed'
  | 'undecided'

/** What is recorded of the end of a stream. */
export interface StreamEnd {
  readonly kind: StreamKind
  readonly reason: StreamEndReason
  /** From the decision to the end. */
  readonly lifeMs: number
  /** Content from the caller, and to him; of a WebSocket all bytes of its frames. */
  readonly bytesIn: number
  readonly bytesOut: number
}

/** What a request that passes lives on: it may be told to end at any time. */
export interface StreamLease {
  readonly becomes: (kind: StreamKind) => void
  readonly received: (bytes: number) => void
  readonly sent: (bytes: number) => void
  /** Calls back once when the stream has to end; at once if that is so now. Only the last listener counts. */
  readonly onCut: (listener: (refusal: Refusal) => void) => void
  /** The application has completed the task by this very answer, which may end by itself. */
  readonly completesTask: () => void
  /** It has ended; only the first call counts. */
  readonly ended: (by: StreamEnder) => void
}

/** A lease that nobody ends. */
export const UNSUPERVISED: StreamLease = Object.freeze({
  becomes: () => undefined,
  received: () => undefined,
  sent: () => undefined,
  onCut: () => undefined,
  completesTask: () => undefined,
  ended: () => undefined,
})
