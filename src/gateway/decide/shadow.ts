import type { AccessRequest } from '../../core/access-request.ts'
import type { Decision, ShadowAnswer } from '../../core/decision.ts'
import { isRefusal, type Refusal } from '../../core/refusals.ts'
import { conclude } from './conclude.ts'
import type { Engine, EngineAnswers, HttpQuestion } from './engines/engine.ts'

/** How long a caller may wait for an answer that changes nothing for it. */
export const SHADOW_WAIT_MS = 100

/**
 * Asks a second engine what it would have said, for the record only.
 *
 * What it says, that it says nothing, or that it breaks, changes nothing for the caller. It is asked when the route's
 * own engine is: not for what a grant answers. One that does not answer at once is waited for `SHADOW_WAIT_MS`.
 */
export const withShadow = (
  shadow: Engine,
  requests: readonly AccessRequest[],
  decision: Decision | Refusal,
  http?: HttpQuestion,
): Decision | Refusal | Promise<Decision | Refusal> => {
  if (isRefusal(decision)) return decision
  const attach = (answers: EngineAnswers | null): Decision =>
    Object.freeze({ ...decision, shadow: Object.freeze(compare(shadow, requests.length, decision, answers)) })
  const deadline = AbortSignal.timeout(SHADOW_WAIT_MS)
  let answers: ReturnType<Engine['evaluate']>
  try {
    answers = shadow.evaluate(requests, () => deadline, http)
  } catch {
    return attach(null)
  }
  if (!(answers instanceof Promise)) return attach(answers)
  const late = new Promise<null>((resolve) => {
    deadline.addEventListener('abort', () => resolve(null), { once: true })
  })
  return Promise.race([answers, late]).then(attach, () => attach(null))
}

const compare = (
  shadow: Engine,
  asked: number,
  decision: Decision,
  answers: EngineAnswers | null,
): ShadowAnswer => {
  const { name: engine } = shadow
  if (answers === null || isRefusal(answers) || answers.length !== asked) return { engine, agrees: false }
  const conclusion = conclude(answers, null)
  return {
    engine,
    agrees: conclusion.decision === decision.decision,
    decision: conclusion.decision,
    reasons: conclusion.reasons,
    policyVersion: shadow.policyVersion(),
  }
}
