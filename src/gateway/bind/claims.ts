import type { JsonObject, JsonValue } from '../../core/json.ts'
import type { Problem } from '../../core/problem.ts'
import type { Refusal } from '../../core/refusals.ts'
import type { Visible } from './analyse.ts'
import { claimsScope } from './scope.ts'
import { type Compilation, compileObject } from './template.ts'

const ONLY_CLAIMS: Visible = {
  place: 'claims',
  isPublic: false,
  captures: [],
  secrets: [],
  posture: [],
  unreadableHeaders: new Map(),
}

/**
 * Compiles what an authenticator makes of verified claims, such as `{ id: $claims.sub }`.
 *
 * @param template an object; strings in it that start with `$` are expressions over `claims` alone.
 * @param at       where the template is, for what is reported.
 * @returns the object, or a `denied` of stage `authenticate` when a claim that is not optional is missing.
 * Does not check: the shape of the result.
 */
export const compileClaims = (
  template: JsonValue,
  at: Problem['path'],
  report: (problem: Problem) => void,
): ((claims: JsonObject) => JsonObject | Refusal) => {
  const compilation: Compilation = { visible: ONLY_CLAIMS, report }
  // A result with this key could not be told from a refusal.
  if (!isObject(template) || Object.hasOwn(template, 'refusal')) {
    report({ path: at, message: 'expected a map of what the subject is made of', rule: 'mapping' })
    return () => ({})
  }
  const compiled = compileObject(template, at, compilation)
  return (claims) => {
    const scope = claimsScope(claims)
    const result = compiled.render(scope)
    return scope.failure ?? result ?? {}
  }
}

const isObject = (value: JsonValue): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
