import {
  type AuthorizationAnswer,
  type PolicyJson,
  statefulIsAuthorized,
} from '@cedar-policy/cedar-wasm/nodejs'
import type { AccessRequest } from '../../../core/access-request.ts'
import { oneLine } from './cedar-findings.ts'
import { cedarQuestion, type QuestionSources } from './cedar-request.ts'
import type { PreparedPolicies } from './cedar-slots.ts'
import type { EngineAnswer } from './engine.ts'

export interface Evaluation extends QuestionSources {
  readonly prepared: PreparedPolicies
  readonly effects: ReadonlyMap<string, PolicyJson['effect']>
  /** True: requests are validated against the schema. */
  readonly hasSchema: boolean
}

/**
 * Asks Cedar one access request.
 *
 * A request that Cedar cannot read, or that does not fit the schema, is a deny that is not kept.
 *
 * @throws when Cedar itself breaks.
 */
export const evaluateByCedar = (request: AccessRequest, evaluation: Evaluation): EngineAnswer => {
  const question = cedarQuestion(request, evaluation)
  if ('problem' in question) return unanswerable([question.problem])
  const slot = evaluation.prepared.slot()
  const schema = evaluation.hasSchema ? { preparsedSchemaName: slot, validateRequest: true } : {}
  return answerOf(statefulIsAuthorized({ ...question, preparsedPolicySetId: slot, ...schema }), evaluation)
}

const unanswerable = (errors: readonly string[]): EngineAnswer => ({
  decision: 'deny',
  reasons: [],
  errors: errors.map(oneLine),
  cacheable: false,
})

const answerOf = (answer: AuthorizationAnswer, { effects }: Evaluation): EngineAnswer => {
  if (answer.type === 'failure') return unanswerable(answer.errors.map(({ message }) => message))
  const { decision, diagnostics } = answer.response
  // Cedar skips a policy that fails; a forbid that was skipped must not let anybody in.
  const failedForbids = diagnostics.errors
    .map(({ policyId }) => policyId)
    .filter((id) => effects.get(id) !== 'permit')
  const denied = decision === 'deny' || failedForbids.length > 0
  const reasons = decision === 'deny' || failedForbids.length === 0 ? diagnostics.reason : []
  const errors = diagnostics.errors.map(({ policyId, error }) => oneLine(`${policyId}: ${error.message}`))
  return {
    decision: denied ? 'deny' : 'allow',
    reasons: sortedUnique([...reasons, ...failedForbids]),
    errors: sortedUnique(errors),
    // An answer with an error in it is asked for again.
    cacheable: errors.length === 0,
  }
}

const sortedUnique = (texts: readonly string[]): readonly string[] => [...new Set(texts)].sort()
