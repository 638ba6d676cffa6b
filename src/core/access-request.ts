import type { JsonObject } from './json.ts'

/** Who acts. `type` and `id` come from the authenticator only; a route may add properties. */
export interface Subject {
  readonly type: string
  readonly id: string
  readonly properties?: JsonObject
}

export interface Action {
  readonly name: string
  readonly properties?: JsonObject
}

export interface Resource {
  readonly type: string
  readonly id: string
  readonly properties?: JsonObject
}

/**
 * The question that an engine answers.
 *
 * @see https://openid.net/specs/authorization-api-1_0.html section 5 (Information Model)
 */
export interface AccessRequest {
  readonly subject: Subject
  readonly action: Action
  readonly resource: Resource
  readonly context: JsonObject
}
