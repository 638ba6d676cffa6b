import { type AuthorizationAnswer, statefulIsAuthorized } from '@cedar-policy/cedar-wasm/nodejs'
import type { AccessRequest } from '../../../core/access-request.ts'
import { oneLine } from './cedar-findings.ts'
import type { CedarPolicy } from './cedar-policies.ts'
import { cedarQuestion, type QuestionSources } from './cedar-request.ts'
import type { ScopeQuestion } from './cedar-slices.ts'
import type { Prepared } from './cedar-slots.ts'
import type { EngineAnswer } from './engine.ts'

export interface Evaluation extends Omit<QuestionSources, 'named'> {
  /** The policies that a question can match, parsed. */
  readonly sliceOf: (question: ScopeQuestion) => PreparedSlice
  readonly policies: ReadonlyMap<string, CedarPolicy>
  /** Requests are validated against it; null: they are not. */
  readonly schema: Prepared | null
}

export interface PreparedSlice {
  readonly policies: readonly CedarPolicy[]
  readonly prepared: Prepared
  /** See `QuestionSources`. */
  readonly named: ReadonlySet<string>
}

/**
 * Asks Cedar one access request.
 *
 * A request that Cedar cannot read, or that does not fit the schema, is a deny that is not kept.
 *
 * @throws when Cedar itself breaks.
 */
export const evaluateByCedar = (request: AccessRequest, evaluation: Evaluation): EngineAnswer => {
  const { prepared, named } = evaluation.sliceOf(scopeOf(request, evaluation.actionTypes))
  const question = cedarQuestion(request, { ...evaluation, named })
  if ('problem' in question) return unanswerable([question.problem])
  const { schema } = evaluation
  const checked = schema === null ? {} : { preparsedSchemaName: schema.slot(), validateRequest: true }
  return answerOf(
    statefulIsAuthorized({ ...question, preparsedPolicySetId: prepared.slot(), ...checked }),
    evaluation,
  )
}

const unanswerable = (errors: readonly string[]): EngineAnswer => ({
  decision: 'deny',
  reasons: [],
  errors: errors.map(oneLine),
  cacheable: false,
})

const answerOf = (answer: AuthorizationAnswer, { policies }: Evaluation): EngineAnswer => {
  if (answer.type === 'failure') return unanswerable(answer.errors.map(({ message }) => message))
  const { decision, diagnostics } = answer.response
  // Cedar skips a policy that fails; a forbid that was skipped must not let anybody in.
  const failedForbids = diagnostics.errors
    .map(({ policyId }) => policyId)
    .filter((id) => policies.get(id)?.effect !== 'permit')
  const denied = decision === 'deny' || failedForbids.length > 0
  const reasons = decision === 'deny' || failedForbids.length === 0 ? diagnostics.reason : []
  const errors = diagnostics.errors.map(({ policyId, error }) => oneLine(`${policyId}: ${error.message}`))
  const determining = [...new Set([...reasons, ...failedForbids])].flatMap((id) => policies.get(id) ?? [])
  return {
    ...annotated(determining, denied),
    decision: denied ? 'deny' : 'allow',
    reasons: sortedUnique([...reasons, ...failedForbids]),
    errors: sortedUnique(errors),
    // An answer with an error in it is asked for again.
    cacheable: errors.length === 0,
  }
}

/** What the policies that determined the decision say of it by `@advice` and, of an allow, `@ttl`, and whose links they are. */
const annotated = (
  policies: readonly CedarPolicy[],
  denied: boolean,
): Pick<EngineAnswer, 'advice' | 'templates' | 'ttlMs'> => {
  const advice = policies.flatMap((policy) => policy.advice ?? [])
  const templates = sortedUnique(policies.flatMap(({ template }) => template ?? []))
  const ttls = denied ? [] : policies.flatMap(({ ttlMs }) => ttlMs ?? [])
  return {
    ...(advice.length === 0 ? {} : { advice }),
    ...(templates.length === 0 ? {} : { templates }),
    ...(ttls.length === 0 ? {} : { ttlMs: Math.min(...ttls) }),
  }
}

/** What the scopes of policies look at. */
export const scopeOf = (
  { subject, action, resource }: AccessRequest,
  actionTypes: Evaluation['actionTypes'],
): ScopeQuestion => ({
  principal: subject,
  action: { type: actionTypes.get(action.name) ?? 'Action', id: action.name },
  resource,
})

const sortedUnique = (texts: readonly string[]): readonly string[] => [...new Set(texts)].sort()
