import type { Bound, Decision } from '../core/decision.ts'
import type { Exchange, RequestHead } from '../core/exchange.ts'
import type { Identity } from '../core/identity.ts'
import type { HeldRecord, RecordEntry } from '../core/record-entry.ts'
import type { Refusal } from '../core/refusals.ts'
import type { Accepted, CanonicalRequest, RequestFacts } from '../core/request.ts'
import type { Route } from '../core/route.ts'
import type { StreamLease } from '../core/stream.ts'

type Later<T> = T | Promise<T>
export type RefusedRequest = Refusal & { readonly request: RequestFacts }

/** One configuration at work. A request uses one of these from start to end. */
export interface Stages {
  readonly accept: (head: RequestHead) => Accepted | RefusedRequest
  readonly authenticate: (
    request: CanonicalRequest,
    route: Route,
    signal: () => AbortSignal,
  ) => Later<Identity | Refusal>
  /** What an authenticator answers at an endpoint of its own. */
  readonly serve: (exchange: Exchange, accepted: Accepted) => Promise<Served | Refusal>
  readonly needsBody: (route: Route) => boolean
  readonly readBody: (exchange: Exchange) => Promise<Buffer | Refusal>
  readonly bind: (accepted: Accepted, identity: Identity | null, body: Buffer | null) => Bound | Refusal
  /** What is forwarded of an observed request that could not be mapped: asks nothing, sets what it can. */
  readonly bindObserved: (
    accepted: Accepted,
    identity: Identity | null,
    body: Buffer | null,
  ) => Bound | Refusal
  readonly decide: (question: Question) => Later<Decision | Refusal>
  /** `coalesced`: a refusal among so many that it is only counted, and its answer names no record. */
  readonly record: (entry: RecordEntry) => true | 'coalesced' | Refusal
  /** The same for what is to be forwarded, maybe without waiting for the log; left out: there is no such way. */
  readonly hold?: (entry: RecordEntry) => HeldRecord | Refusal
  /** True when the reply was completed, or cut after its head; a refusal only when nothing was sent yet. */
  readonly forward: (passage: Passage) => Later<true | Refusal>
  readonly refuse: (exchange: Exchange, refusal: Refusal, decisionId: string | null) => void
  /** The route by whose rules a stream of a route of this name is decided again; null: there is none any more. */
  readonly streamRoute?: (name: string) => Route | null
  /** What is held of the revocation feed, and whether a mark that came later concerns this request. */
  readonly revocations?: {
    readonly held: () => string
    readonly concern: (identity: Identity, bound: Bound, held: string) => boolean
    /** The same of what was decided alone, whoever asked. */
    readonly voids: (identity: Identity, bound: Bound, held: string) => boolean
    /** While it stays the same, so do the answers of `concern`. */
    readonly changes?: () => number
  }
  /** Told of each request that begins by these stages, and of its end: as many times each. */
  readonly usage?: { readonly began: () => void; readonly ended: (durationUs: number) => void }
}

/** A request that an authenticator took itself; `bound.answer` is what it said. */
export interface Served {
  /** Null when it is not known, or not any more, who asked. */
  readonly identity: Identity | null
  readonly bound: Bound
}

export interface Question {
  readonly route: Route
  /** Null on public routes. */
  readonly identity: Identity | null
  readonly bound: Bound
  /** The request itself; left out where it is not what the question is about. */
  readonly request?: CanonicalRequest
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
  /** To be settled before anything goes out, to whomever. */
  readonly record: HeldRecord
  /** What it lives on; left out: nobody ends it. */
  readonly lease?: StreamLease | undefined
}
