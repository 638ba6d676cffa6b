import type { AccessRequest } from './access-request.ts'
import type { JsonObject } from './json.ts'
import type { OwnAnswer } from './own-answer.ts'
import type { TaskReference } from './stream.ts'

/** What an engine says beside its decision. */
export interface Said {
  /** What the engine says of it to operators; for the record alone. */
  readonly adminReason?: string
  /** What the engine lets the caller know of a deny. */
  readonly userReason?: string
  /** The id by which the engine has logged it itself. */
  readonly engineDecisionId?: string
  /** What the determining policies want to be known with the decision. */
  readonly advice?: readonly string[]
  /** Ids of the templates whose links are among the determining policies. */
  readonly templates?: readonly string[]
}

/** What one of several engines decided. */
export interface EngineVerdict {
  readonly engine: string
  readonly decision: 'allow' | 'deny'
  readonly reasons: readonly string[]
  readonly policyVersion: string
}

export interface EvaluationResult extends Said {
  readonly decision: 'allow' | 'deny'
  /** Sorted ids of the determining policies; empty for a default deny. */
  readonly reasons: readonly string[]
  readonly errors: readonly string[]
  /** Those that answered, where a route asks several. */
  readonly engines?: readonly EngineVerdict[]
}

export interface GrantReference {
  /** The derived key; SHA-256 in base64url. */
  readonly id: string
  readonly expiresAtMs: number
}

/** What a second engine would have said; it changes nothing. */
export interface ShadowAnswer {
  readonly engine: string
  /** True when it decided the same. */
  readonly agrees: boolean
  /** Left out when it did not answer. */
  readonly decision?: 'allow' | 'deny'
  readonly reasons?: readonly string[]
  readonly policyVersion?: string
}

/** The answer to one bound request: `allow` only if every evaluation was allowed. */
export interface Decision extends EvaluationResult {
  readonly source: 'engine' | 'grant' | 'grant-shared' | 'route'
  readonly policyVersion: string
  readonly grant?: GrantReference
  /** One a question, in order, when there were several. */
  readonly evaluations?: readonly EvaluationResult[]
  readonly shadow?: ShadowAnswer
}

/** What bind makes of a request: the questions, and what is forwarded if they are all allowed. */
export interface Bound {
  /** Empty for a public route. */
  readonly accessRequests: readonly AccessRequest[]
  /** True when the route says `evaluations`. */
  readonly batch: boolean
  /** False when the mapping reads what changes with every request and is not quantised. */
  readonly cacheable: boolean
  /** Path and query for the upstream: canonical, or the checked rewrite. */
  readonly target: string
  /** Fields that the route sets; flat name, value pairs. */
  readonly headers: readonly string[]
  /** What the mapping's expressions read, for the record. */
  readonly inputs: JsonObject
  /** Labels of what the mapping's expressions looked for in vain; left out: nothing. */
  readonly absent?: readonly string[]
  /** The very bytes, when the mapping read the body. */
  readonly body: Buffer | null
  /** True when the caller has asked the very same before, and is given this very object whenever he asks it again. */
  readonly isKept?: boolean
  /** The task that it is part of; also in the context of each question. */
  readonly task?: TaskReference
  /** Set where Sallyport answers by itself what an authenticator said. */
  readonly answer?: OwnAnswer
}
