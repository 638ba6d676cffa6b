import type { Decision, EvaluationResult } from '../../core/decision.ts'
import type { JsonObject } from '../../core/json.ts'
import type { RouteGrantConfig } from './config.ts'
import type { EngineAnswer } from './engines/engine.ts'
import { saidBeside, saidTogether, sortedUnique } from './said.ts'

/** What the answers to one request's questions come to, and how long that may be kept. */
export interface Conclusion extends EvaluationResult {
  readonly evaluations: readonly EvaluationResult[]
  /** At most; 0 when it must not be kept. */
  readonly lifeMs: number
}

/** `allow` only if every question was allowed. There is at least one. */
export const conclude = (
  answers: readonly EngineAnswer[],
  grant: Pick<RouteGrantConfig, 'ttlMs' | 'denyTtlMs'> | null,
): Conclusion => {
  const evaluations = answers.map(evaluationOf)
  const denied = evaluations.filter(({ decision }) => decision !== 'allow')
  const decision = denied.length === 0 ? 'allow' : 'deny'
  // The reasons of a deny are those of what was denied: an allow beside it determined nothing.
  const determining = decision === 'allow' ? evaluations : denied
  const errors = sortedUnique(evaluations.flatMap((evaluation) => evaluation.errors))
  const mayKeep =
    grant !== null && errors.length === 0 && answers.every(({ cacheable }) => cacheable !== false)
  const ttlMs = mayKeep ? (decision === 'allow' ? grant.ttlMs : grant.denyTtlMs) : 0
  return {
    decision,
    reasons: sortedUnique(determining.flatMap((evaluation) => evaluation.reasons)),
    errors,
    ...(evaluations.length === 1 && evaluations[0]?.engines ? { engines: evaluations[0].engines } : {}),
    ...saidTogether(determining),
    evaluations: Object.freeze(evaluations),
    lifeMs: Math.min(ttlMs, ...answers.map((answer) => answer.ttlMs ?? ttlMs)),
  }
}

const evaluationOf = (answer: EngineAnswer): EvaluationResult => {
  const { decision, reasons, errors, obligations = [] } = answer
  // XACML 3.0 section 7.18: an allow whose obligations are not fulfilled is none. Nothing fulfils them yet.
  const unfulfilled = decision === 'allow' && obligations.length > 0
  return Object.freeze({
    decision: decision === 'allow' && !unfulfilled ? 'allow' : 'deny',
    reasons: sortedUnique(reasons),
    errors: sortedUnique(unfulfilled ? [...errors, unfulfilledText(obligations)] : errors),
    ...(answer.engines === undefined ? {} : { engines: answer.engines }),
    ...saidBeside(answer),
  })
}

/** Names what was wanted by its types alone: the rest may be personal. */
const unfulfilledText = (obligations: readonly JsonObject[]): string => {
  const types = sortedUnique(
    obligations.map(({ type }) => (typeof type === 'string' ? type : 'without a type')),
  )
  return `the engine wants obligations that are not understood: ${types.join(', ').slice(0, 200)}`
}

/** A conclusion as a decision that nobody can change. */
export const decisionOf = (
  conclusion: Conclusion,
  more: Pick<Decision, 'source' | 'policyVersion'> & {
    readonly batch: boolean
    readonly grant: Decision['grant']
  },
): Decision => {
  const { decision, reasons, errors, engines, evaluations } = conclusion
  const { source, policyVersion, batch, grant } = more
  return Object.freeze({
    decision,
    reasons,
    errors,
    source,
    policyVersion,
    ...(engines === undefined ? {} : { engines }),
    ...saidBeside(conclusion),
    ...(grant === undefined ? {} : { grant }),
    ...(batch ? { evaluations } : {}),
  })
}
