import { canonicalHash } from '../../../core/canonical-hash.ts'
import { isRefusal, type Refusal, refuse } from '../../../core/refusals.ts'
import { saidTogether } from '../said.ts'
import type { Engine, EngineAnswer, EngineAnswers } from './engine.ts'

/** What became of asking one engine; null: there is no answer, or not yet. */
type Outcome = EngineAnswers | null

/**
 * Several engines as one, which allows what all of them allow.
 *
 * They are asked in order, without waiting for those that take time. The first deny ends it: engines after it are not
 * asked, and those under way not waited for. A deny counts although another engine has no decision; an allow does not.
 */
export const joinEngines = (engines: readonly Engine[]): Engine => {
  const timeouts = engines.flatMap(({ timeoutMs }) => timeoutMs ?? [])
  return {
    name: engines.map(({ name }) => name).join(' + '),
    type: 'several',
    policyVersion: () => versionOf(engines, []),
    configuration: canonicalHash(
      engines.map(({ name, type, configuration = '' }) => [name, type, configuration]),
    ),
    readsHttp: engines.some(({ readsHttp }) => readsHttp === true),
    ...(timeouts.length === 0 ? {} : { timeoutMs: Math.max(...timeouts) }),
    evaluate: (requests, signal, http) => {
      const outcomes: Outcome[] = engines.map(() => null)
      const conclude = (): EngineAnswers => merged(engines, outcomes)
      const enough = new AbortController()
      const either = (): AbortSignal => {
        const outer = signal()
        if (outer.aborted) enough.abort()
        outer.addEventListener('abort', () => enough.abort(), { once: true })
        return enough.signal
      }
      const pending: Promise<boolean>[] = []
      for (const [index, engine] of engines.entries()) {
        const note = (answers: EngineAnswers): boolean => {
          const isWhole = isRefusal(answers) || answers.length === requests.length
          outcomes[index] = isWhole ? answers : miscounted(engine, answers.length, requests.length)
          return denies(outcomes[index] ?? null)
        }
        const answers = engine.evaluate(requests, either, http)
        if (answers instanceof Promise) pending.push(answers.then(note))
        else if (note(answers)) {
          enough.abort()
          for (const unwanted of pending) unwanted.catch(() => undefined)
          return conclude()
        }
      }
      if (pending.length === 0) return conclude()
      return untilDenied(pending).then(() => {
        const known = conclude()
        enough.abort()
        return known
      })
    },
  }
}

/** Resolves when one has denied, or all have answered. */
const untilDenied = (pending: readonly Promise<boolean>[]): Promise<void> =>
  new Promise((resolve, reject) => {
    let left = pending.length
    for (const one of pending) {
      one.then((denied) => {
        left -= 1
        if (denied || left === 0) resolve()
      }, reject)
    }
  })

const miscounted = ({ name }: Engine, answers: number, questions: number): Refusal =>
  refuse('decide', 'engine_unavailable', `engine ${name}: ${answers} answers to ${questions} questions`)

/** True when some question is not allowed; obligations are not fulfilled by anybody. */
const denies = (answers: Outcome): boolean =>
  answers !== null && !isRefusal(answers) && answers.some((answer) => !allows(answer))

const allows = ({ decision, obligations = [] }: EngineAnswer): boolean =>
  decision === 'allow' && obligations.length === 0

const merged = (engines: readonly Engine[], outcomes: readonly Outcome[]): EngineAnswers => {
  const refusal = outcomes.find((outcome): outcome is Refusal => outcome !== null && isRefusal(outcome))
  if (refusal !== undefined && !outcomes.some(denies)) return refusal
  const answered = engines.flatMap((engine, index) => {
    const answers = outcomes[index]
    return answers === null || answers === undefined || isRefusal(answers) ? [] : [{ engine, answers }]
  })
  const [first] = answered
  if (first === undefined) throw new Error('no engine was asked')
  return first.answers.map((_, question) => {
    const parts = answered.flatMap(({ engine, answers }) => {
      const answer = answers[question]
      return answer === undefined ? [] : [{ engine, answer }]
    })
    return mergedAnswer(engines, parts)
  })
}

interface Part {
  readonly engine: Engine
  readonly answer: EngineAnswer
}

const mergedAnswer = (engines: readonly Engine[], parts: readonly Part[]): EngineAnswer => {
  const denying = parts.filter(({ answer }) => !allows(answer))
  // An allow beside a deny determined nothing.
  const determining = (denying.length === 0 ? parts : denying).map(({ answer }) => answer)
  const ttls = parts.flatMap(({ answer }) => answer.ttlMs ?? [])
  return {
    decision: parts.every(({ answer }) => answer.decision === 'allow') ? 'allow' : 'deny',
    reasons: determining.flatMap(({ reasons }) => reasons),
    errors: parts.flatMap(({ answer }) => answer.errors),
    obligations: parts.flatMap(({ answer }) => answer.obligations ?? []),
    ...saidTogether(determining),
    ...(ttls.length === 0 ? {} : { ttlMs: Math.min(...ttls) }),
    cacheable: parts.every(({ answer }) => answer.cacheable !== false),
    policyVersion: versionOf(engines, parts),
    engines: parts.map(({ engine, answer }) => ({
      engine: engine.name,
      decision: allows(answer) ? 'allow' : 'deny',
      reasons: [...answer.reasons].sort(),
      policyVersion: answer.policyVersion ?? engine.policyVersion(),
    })),
  }
}

const versionOf = (engines: readonly Engine[], parts: readonly Part[]): string =>
  engines
    .map((engine) => {
      const answer = parts.find((part) => part.engine === engine)?.answer
      return `${engine.name}=${answer?.policyVersion ?? engine.policyVersion()}`
    })
    .join(' ')
