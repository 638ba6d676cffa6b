import { isAuthorized, type PolicyJson, policyToText } from '@cedar-policy/cedar-wasm/nodejs'
import type { AccessRequest } from '../../../core/access-request.ts'
import type { NearPolicy, PolicySource } from '../../../core/policy-source.ts'
import { findingAt } from './cedar-findings.ts'
import type { CedarPolicy } from './cedar-policies.ts'
import { cedarQuestion, type QuestionSources } from './cedar-request.ts'

/** The policies of these ids, as they are written; one that is gone is left out. */
export const policySources = (
  policies: readonly CedarPolicy[],
  ids: readonly string[],
): readonly PolicySource[] => policies.filter(({ id }) => ids.includes(id)).map(sourceOf)

const sourceOf = (policy: CedarPolicy): PolicySource => {
  const { id, effect, piece } = policy
  const { file, line } = findingAt(piece, piece.start, { rule: '', severity: 'info' }, '')
  return { id, effect: effect === 'permit' ? 'permit' : 'forbid', text: textOf(policy), file, line }
}

/** Of a link the policy that it makes, not the line that makes it. */
const textOf = ({ text, json, template }: CedarPolicy): string => {
  if (template === null) return text.trim()
  const answer = policyToText(json)
  return answer.type === 'failure' ? text : answer.text
}

/**
 * The permits that are for a request, but for their conditions.
 *
 * Each is asked by itself: first without its conditions, then with one of them at a time. Slow; for explanations.
 * Does not find: what would have to be true of the entities for a condition to hold.
 */
export const nearPolicies = (
  policies: readonly CedarPolicy[],
  request: AccessRequest,
  sources: QuestionSources,
): readonly NearPolicy[] => {
  const question = cedarQuestion(request, sources)
  if ('problem' in question) return []
  const allows = (json: PolicyJson): boolean => {
    const answer = isAuthorized({ ...question, policies: { staticPolicies: { near: json } } })
    return answer.type === 'success' && answer.response.decision === 'allow'
  }
  return policies.flatMap((policy): readonly NearPolicy[] => {
    const { json, effect } = policy
    if (effect !== 'permit' || !allows({ ...json, conditions: [] })) return []
    const unmet = json.conditions.filter((condition) => !allows({ ...json, conditions: [condition] }))
    return [{ ...sourceOf(policy), unmet: unmet.map((condition) => conditionText(json, condition)) }]
  })
}

const conditionText = (json: PolicyJson, condition: PolicyJson['conditions'][number]): string => {
  const answer = policyToText({ ...json, annotations: {}, conditions: [condition] })
  if (answer.type === 'failure') return condition.kind
  const { text } = answer
  return text
    .slice(text.indexOf(`${condition.kind} {`))
    .replace(/\s+/g, ' ')
    .replace(/;$/, '')
}
