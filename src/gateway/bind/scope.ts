import type { Subject } from '../../core/access-request.ts'
import type { Credential } from '../../core/identity.ts'
import type { JsonObject } from '../../core/json.ts'
import { type Refusal, type RefusalCode, refuse, type Stage } from '../../core/refusals.ts'
import type { Accepted } from '../../core/request.ts'
import type { Secret } from '../../core/secret.ts'

/** The variables of an evaluation. */
export type CelContext = Readonly<Record<string, unknown>>

/** Everything that the expressions of one mapping can see of one request. */
export interface Scope {
  readonly stage: Stage
  /** Null while claims are mapped to a subject. */
  readonly accepted: Accepted | null
  readonly identity: {
    readonly claims: JsonObject
    readonly subject?: Subject
    readonly credential?: Credential
  } | null
  readonly path: Readonly<Record<string, string>>
  /** Only the headers that the mapping reads, each of which came once. */
  readonly headers: ReadonlyMap<string, string>
  /** Only the query keys that the mapping reads, each of which came once. */
  readonly query: ReadonlyMap<string, string>
  /** Null when the mapping does not read it. */
  readonly body: JsonObject | null
  /** When the request came, floored as the route's grant says. */
  readonly timeMs: number
  /** Age of the credential, floored likewise. */
  readonly ageSeconds: number | undefined
  readonly secrets: ReadonlyMap<string, Secret>
  /** The first thing that went wrong; whoever evaluates looks here once, at the end. */
  failure: Refusal | null
  /** What CEL sees, made on first use. */
  celContext: CelContext | null
  /** The same with every string percent-encoded, for rewrites. */
  encodedContext: CelContext | null
}

const NOTHING: ReadonlyMap<string, never> = new Map<string, never>()

/** A scope in which only claims are there. */
export const claimsScope = (claims: JsonObject): Scope => ({
  stage: 'authenticate',
  accepted: null,
  identity: { claims },
  path: {},
  headers: NOTHING,
  query: NOTHING,
  body: null,
  timeMs: 0,
  ageSeconds: undefined,
  secrets: NOTHING,
  failure: null,
  celContext: null,
  encodedContext: null,
})

/**
 * Notes a failure, unless there is one already.
 *
 * @param detail names what was read, and never its value.
 */
export const fail = (scope: Scope, code: RefusalCode, detail: string): undefined => {
  scope.failure ??= refuse(scope.stage, code, detail)
  return undefined
}
