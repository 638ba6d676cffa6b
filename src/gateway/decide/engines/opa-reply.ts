import type { JsonObject, JsonValue } from '../../../core/json.ts'
import { parseStrictJson } from '../../../core/strict-json.ts'
import { isJsonObject } from './answer-context.ts'
import type { EngineAnswer } from './engine.ts'
import { failedAnswer, readRegoResult } from './opa-answer.ts'
import type { Exchanged } from './remote-engine.ts'
import type { RemoteAnswer } from './remote-http.ts'

/** An answer, and the revision of the policies that gave it; null when OPA does not say. */
export interface RegoReply {
  readonly answer: EngineAnswer
  readonly revision: string | null
}

const MAX_DEPTH = 64

/**
 * Reads what the Data API answered to a question.
 *
 * A policy that fails at its input, such as a built-in function that is given the wrong type, is a deny: the caller
 * can cause that, and must not be able to shut the engine off for others.
 *
 * @see https://www.openpolicyagent.org/docs/rest-api#data-api
 */
export const readRegoReply = (reply: RemoteAnswer): Exchanged<RegoReply> => {
  const document = parseObject(reply.text)
  if (reply.status === 500 && document !== null) {
    const errors = evaluationErrors(document)
    if (errors.length > 0) return { value: { answer: failedAnswer(errors), revision: null } }
  }
  if (reply.status !== 200) {
    const fault = reply.status === 400 || reply.status === 422 ? 'caller' : 'engine'
    return { failure: `answered ${reply.status}`, fault }
  }
  if (document === null || reply.mediaType !== 'application/json') {
    return { failure: 'answered 200 without a JSON object', fault: 'engine' }
  }
  const isMeant = 'result' in document || isOpaReply(document)
  if (!isMeant) return { failure: 'answered 200 with what no OPA answers', fault: 'engine' }
  const read = readRegoResult(document.result)
  if ('problem' in read) return { failure: `answered with ${read.problem}`, fault: 'engine' }
  const { decision_id: id } = document
  const answer = typeof id === 'string' ? { ...read.answer, engineDecisionId: id } : read.answer
  return { value: { answer, revision: revisionIn(document) } }
}

/** Provenance was asked for, so OPA's answers have it, also those without a result. */
const isOpaReply = (document: JsonObject): boolean => isJsonObject(document.provenance)

/** The revision of all bundles, from any answer with provenance; null when there is none. */
export const revisionOf = (text: string): string | null => {
  const document = parseObject(text)
  return document === null ? null : revisionIn(document)
}

const revisionIn = ({ provenance }: JsonObject): string | null => {
  if (!isJsonObject(provenance)) return null
  const { bundles, revision } = provenance
  if (!isJsonObject(bundles)) return typeof revision === 'string' && revision !== '' ? revision : null
  const known = Object.entries(bundles).flatMap(([name, bundle]): (readonly [string, string])[] =>
    isJsonObject(bundle) && typeof bundle.revision === 'string' && bundle.revision !== ''
      ? [[name, bundle.revision]]
      : [],
  )
  const [only] = known
  if (only === undefined) return null
  if (Object.keys(bundles).length === 1) return only[1]
  return known
    .map(([name, of]) => `${name}=${of}`)
    .sort()
    .join(' ')
}

const parseObject = (text: string): JsonObject | null => {
  const parsed = parseStrictJson(text, { caseInsensitiveDuplicates: false, maxDepth: MAX_DEPTH })
  return 'value' in parsed && isJsonObject(parsed.value) ? parsed.value : null
}

/** What evaluating ran into, apart from a cancelled one, which is OPA's own. */
const evaluationErrors = ({ errors }: JsonObject): readonly string[] => {
  if (!Array.isArray(errors)) return []
  const found = errors.filter(isEvaluationError)
  return found.length < errors.length ? [] : found.map(({ code, message }) => `${code}: ${message}`)
}

const isEvaluationError = (
  error: JsonValue,
): error is { readonly code: string; readonly message: string } & JsonObject => {
  if (!isJsonObject(error)) return false
  const { code, message } = error
  if (typeof code !== 'string' || typeof message !== 'string') return false
  return /^eval_(builtin|type|conflict|with_merge)_error$/.test(code)
}
