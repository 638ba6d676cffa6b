import type { Action, Resource, Subject } from '../../core/access-request.ts'
import type { EngineVerdict, ShadowAnswer } from '../../core/decision.ts'
import type { JsonObject } from '../../core/json.ts'
import type { StreamEnd } from '../../core/stream.ts'

/** One line of the decision log. Fields stand in this order; one that is unknown is left out. */
export interface DecisionRecord {
  /** Version of this format. */
  readonly v: 1
  /** The decision id that the caller saw, a UUIDv7. */
  readonly id: string
  /** Id of the earlier record of the same request, when what it allowed then failed. */
  readonly follows?: string
  /** RFC 3339, UTC, milliseconds. */
  readonly time: string
  readonly decision: 'allow' | 'deny'
  /** `allowed`, `denied`, the code of the refusal, or what became of a mark. */
  readonly code: string
  /** `engine`, `grant`, `grant-shared`, `route`, `revocation` for a mark, or the stage that refused. */
  readonly source: string
  /** Why it was refused, for operators. */
  readonly detail?: string
  /** How many refusals this line stands for; left out for one. */
  readonly count?: number
  /** When the first of them was refused; RFC 3339. */
  readonly since?: string
  /** On a route that does not enforce; left out where decisions are enforced. */
  readonly mode?: 'observe'
  /** True for a deny that was forwarded all the same, as `mode: observe` does. */
  readonly forwarded?: true
  readonly subject?: Subject
  readonly credential?: RecordedCredential
  readonly action?: Action
  readonly resource?: Resource
  readonly context?: JsonObject
  /** In place of `action`, `resource` and `context` on a route that asks several questions. */
  readonly evaluations?: readonly RecordedEvaluation[]
  readonly route?: string
  readonly owner?: string
  /** The names of several are joined by ` + `. */
  readonly engine?: string
  /** What each of several engines decided, as far as they were asked. */
  readonly engines?: readonly EngineVerdict[]
  readonly policyVersion?: string
  readonly configVersion: string
  /** Sorted ids of the determining policies. */
  readonly reasons?: readonly string[]
  /** What went wrong in policies while deciding. */
  readonly errors?: readonly string[]
  /** What the engine said of it to operators. */
  readonly adminReason?: string
  /** What the determining policies want to be known. */
  readonly advice?: readonly string[]
  /** Ids of the templates of which determining policies are links. */
  readonly templates?: readonly string[]
  /** By what ids the engine has logged it itself. */
  readonly engineDecisionId?: string
  /** What the route's second engine said; only where it was asked. */
  readonly shadow?: ShadowAnswer
  readonly grant?: { readonly id: string; readonly expires: string }
  /** How what was let through has ended; only in a record that follows another. */
  readonly stream?: StreamEnd
  /** What the mapping's expressions read. */
  readonly inputs?: JsonObject
  /** What they looked for in vain. */
  readonly absent?: readonly string[]
  /** Who the authenticator says it is, where the route has added to the subject. */
  readonly authenticated?: Subject
  /** Hash of the mapping that refused; tells whether another one reads the request in the same way. */
  readonly mapping?: string
  /** Hash of what the route asks of a credential, where that was not met or is more than to be valid. */
  readonly authentication?: string
  /** What was taken back, or given again; such a record is about no request, and its `code` is `revoked` or `revocation_withdrawn`. */
  readonly mark?: {
    readonly id: string
    readonly kind: string
    readonly target: string
    readonly effect: string
    readonly reason: string
    readonly by: string
    /** RFC 3339. */
    readonly expires: string
  }
  readonly request: RecordedRequest
  readonly latencyUs: Readonly<Record<string, number>>
  readonly traceparent?: string
  /** The process that wrote the line; the last field but for those of the chain. */
  readonly writer: string
}

export interface RecordedCredential {
  readonly type: string
  readonly authenticator: string
  readonly id: string
  /** Whole seconds since the credential was issued. */
  readonly ageSeconds?: number
  readonly issuer?: string
}

export interface RecordedEvaluation {
  /** Only where it is not the record's own `subject`. */
  readonly subject?: Subject
  readonly action: Action
  readonly resource: Resource
  readonly context: JsonObject
  readonly decision?: 'allow' | 'deny'
  readonly reasons?: readonly string[]
  readonly engines?: readonly EngineVerdict[]
}

export interface RecordedRequest {
  readonly id: string
  readonly method?: string
  readonly host?: string
  readonly path?: string
  readonly ip?: string
}
