import { randomUuidV7 } from '../core/uuid.ts'
import type { Clock } from '../core/clock.ts'
import type { Bound, Decision } from '../core/decision.ts'
import type { Exchange, RequestHead } from '../core/exchange.ts'
import type { Identity } from '../core/identity.ts'
import type { Log } from '../core/log.ts'
import type { RecordEntry } from '../core/record-entry.ts'
import { isRefusal, type Refusal, refuse } from '../core/refusals.ts'
import type { Accepted, CanonicalRequest, RequestFacts } from '../core/request.ts'
import type { Route } from '../core/route.ts'

type Later<T> = T | Promise<T>
export type RefusedRequest = Refusal & { readonly request: RequestFacts }

/** One configuration at work. A request uses one of these from start to end. */
export interface Stages {
  readonly accept: (head: RequestHead) => Accepted | RefusedRequest
  readonly authenticate: (request: CanonicalRequest, route: Route) => Later<Identity | Refusal>
  readonly needsBody: (route: Route) => boolean
  readonly readBody: (exchange: Exchange) => Promise<Buffer | Refusal>
  readonly bind: (accepted: Accepted, identity: Identity | null, body: Buffer | null) => Bound | Refusal
  readonly decide: (question: Question) => Later<Decision | Refusal>
  readonly record: (entry: RecordEntry) => true | Refusal
  readonly forward: (passage: Passage) => Promise<true | Refusal>
  readonly refuse: (exchange: Exchange, refusal: Refusal, decisionId: string | null) => void
}

export interface Question {
  readonly route: Route
  /** Null on public routes. */
  readonly identity: Identity | null
  readonly bound: Bound
  readonly signal: () => AbortSignal
}

/** A request that may pass: all that enforce needs. */
export interface Passage {
  readonly exchange: Exchange
  readonly accepted: Accepted
  readonly identity: Identity | null
  readonly bound: Bound
  readonly decision: Decision
  readonly decisionId: string
}
