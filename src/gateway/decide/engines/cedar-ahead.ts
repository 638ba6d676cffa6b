import { type Schema, schemaToJson } from '@cedar-policy/cedar-wasm/nodejs'
import type { Log } from '../../../core/log.ts'
import type { Slices } from './cedar-prepared-slices.ts'
import type { ScopeQuestion } from './cedar-slices.ts'

/** Slices of one engine that are prepared before a question wants them; the rest is when it does. */
const MOST_AHEAD = 256

// By engine, what it was asked lately: whoever takes its place is asked the same. Module state, because an engine does
// not know the one that it follows.
const lately = new Map<string, () => readonly ScopeQuestion[]>()

/**
 * Prepares slices in steps, between which requests are served: those that the engine of that name was last asked for,
 * or, when there was none, those of the given questions.
 *
 * @returns how to end it, to be called when the engine is closed; and when it is done, for tests.
 */
export const prepareAhead = (
  engine: string,
  slices: Pick<Slices, 'prepare' | 'asked'>,
  otherwise: () => readonly ScopeQuestion[],
  log: Log,
): { readonly stop: () => void; readonly done: Promise<number> } => {
  const before = lately.get(engine)?.() ?? []
  const questions = (before.length > 0 ? before : otherwise()).slice(0, MOST_AHEAD)
  lately.set(engine, slices.asked)
  let isStopped = false
  const done = new Promise<number>((resolve) => {
    let prepared = 0
    const step = (at: number): void => {
      const question = questions[at]
      if (question === undefined || isStopped) {
        resolve(prepared)
        return
      }
      try {
        prepared += slices.prepare(question) ? 1 : 0
      } catch (bug) {
        // The question itself will say so.
        log.error({ engine, stack: bug instanceof Error ? bug.stack : String(bug) }, 'Cedar broke')
        resolve(prepared)
        return
      }
      setImmediate(step, at + 1)
    }
    setImmediate(step, 0)
  })
  const stop = (): void => {
    isStopped = true
    if (lately.get(engine) === slices.asked) lately.delete(engine)
  }
  return { stop, done }
}

/** One question for each action and the types that it is for, about somebody and something that nothing is known of. */
export const questionsOfSchema = (schema: Schema): readonly ScopeQuestion[] => {
  const answer = schemaToJson(schema)
  if (answer.type === 'failure') throw new Error('a schema that was checked has no JSON form')
  return Object.entries(answer.json).flatMap(([namespace, { actions, entityTypes }]) => {
    const whole = (type: string): string =>
      namespace !== '' && Object.hasOwn(entityTypes, type) ? `${namespace}::${type}` : type
    const actionType = namespace === '' ? 'Action' : `${namespace}::Action`
    return Object.entries(actions).flatMap(([id, { appliesTo }]) =>
      (appliesTo?.principalTypes ?? []).flatMap((principal) =>
        (appliesTo?.resourceTypes ?? []).map((resource) => ({
          principal: { type: whole(principal), id: '' },
          action: { type: actionType, id },
          resource: { type: whole(resource), id: '' },
        })),
      ),
    )
  })
}
