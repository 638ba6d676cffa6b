import { corsHeaders } from '../core/cors.ts'
import type { Bound, Decision } from '../core/decision.ts'
import type { Exchange } from '../core/exchange.ts'
import type { Identity } from '../core/identity.ts'
import type { HeldRecord } from '../core/record-entry.ts'
import type { Refusal, RefusalCode, Stage } from '../core/refusals.ts'
import type { RequestFacts } from '../core/request.ts'
import type { Route } from '../core/route.ts'
import type { StreamLease } from '../core/stream.ts'
import type { Stages } from './stages.ts'

/** How far a request has come; filled in by the pipeline alone, and read when it is recorded. */
export interface Progress {
  readonly stages: Stages
  readonly exchange: Exchange
  readonly latencyUs: Record<string, number>
  /** Monotonic clock. */
  readonly beganUs: number
  /** Of the revocation feed when it began. */
  readonly held: string | undefined
  stage: Stage
  over: boolean
  waited: boolean
  request: RequestFacts | null
  route: Route | null
  identity: Identity | null
  bound: Bound | null
  body: Buffer | null
  /** Why an observed request would have been refused before it was bound. */
  observed: Refusal | null
  /** What was let through lives on it. */
  lease: StreamLease | null
  /** Id of the record that was written for this request, if any. */
  recordedId: string | null
  /** Of what was let through, while it may not be written yet. */
  record: HeldRecord | null
}

/** What the caller or a policy engine is at fault for, not the request's form. */
export const OBSERVABLE: ReadonlySet<RefusalCode> = new Set([
  'unauthenticated',
  'denied',
  'engine_unavailable',
  'authenticator_unavailable',
  'revocation_unavailable',
])

/** Stands for a decision that was not made; it vouches for nothing. */
export const OBSERVED_DENY: Decision = Object.freeze({
  decision: 'deny',
  source: 'engine',
  policyVersion: 'none',
  reasons: Object.freeze([]),
  errors: Object.freeze([]),
})

export const begin = (stages: Stages, exchange: Exchange, body: Buffer | null, beganUs: number): Progress => {
  stages.usage?.began()
  return {
    stages,
    exchange,
    latencyUs: {},
    beganUs,
    held: stages.revocations?.held(),
    stage: 'accept',
    over: false,
    waited: false,
    request: null,
    route: null,
    identity: null,
    bound: null,
    body,
    observed: null,
    lease: null,
    recordedId: null,
    record: null,
  }
}

/**
 * With the route's CORS fields, so that a page can tell a refusal from a broken network, and with the session that
 * was renewed for this request: the one before it may be of no use any more.
 */
export const readable = ({ route, exchange, identity }: Progress, refusal: Refusal): Refusal => {
  const setCookies = identity?.setCookies ?? []
  if (route?.cors === undefined && setCookies.length === 0) return refusal
  const cors = route?.cors === undefined ? [] : corsHeaders(route.cors, exchange.head.headers)
  const cookies = setCookies.flatMap((cookie) => ['Set-Cookie', cookie])
  return { ...refusal, headers: [...(refusal.headers ?? []), ...cors, ...cookies] }
}
