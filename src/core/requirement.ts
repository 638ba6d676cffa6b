import type { JsonValue } from './json.ts'

/** What a caller must have shown beyond being known. */
export interface Requirement {
  /** All of these must be among the scopes of the token. */
  readonly scopes: readonly string[]
  /** Each of these claims must be, or contain, one of its values. */
  readonly claims: ReadonlyMap<string, readonly JsonValue[]>
  /** `acr` must be one of these; empty: any, or none. */
  readonly acr: readonly string[]
  /** How long ago the login may be, in milliseconds; null: any time, or unknown. */
  readonly maxAgeMs: number | null
}
