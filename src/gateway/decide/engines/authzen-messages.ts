import type { AccessRequest } from '../../../core/access-request.ts'
import type { JsonObject, JsonValue } from '../../../core/json.ts'
import { parseStrictJson } from '../../../core/strict-json.ts'
import { isJsonObject, readAnswerContext } from './answer-context.ts'
import { oneLine } from './cedar-findings.ts'
import type { EngineAnswer } from './engine.ts'
import type { Exchanged } from './remote-engine.ts'
import type { RemoteAnswer } from './remote-http.ts'

/** The specification's fields and no others: engines exist that refuse a request for an unknown one (Cerbos). */
const onlyKnown = ({ subject, action, resource, context }: AccessRequest) => ({
  subject: { type: subject.type, id: subject.id, properties: subject.properties },
  action: { name: action.name, properties: action.properties },
  resource: { type: resource.type, id: resource.id, properties: resource.properties },
  context,
})

/** A property without a value is left out, not null (section 1.2 of the specification, by I-JSON). */
function withoutNulls(this: unknown, _key: string, value: unknown): unknown {
  return value === null && !Array.isArray(this) ? undefined : value
}

export const evaluationBody = (request: AccessRequest): string =>
  JSON.stringify(onlyKnown(request), withoutNulls)

/** Several questions; each is complete, so that nothing depends on how an engine merges defaults. */
export const evaluationsBody = (requests: readonly AccessRequest[]): string =>
  JSON.stringify({ evaluations: requests.map(onlyKnown) }, withoutNulls)

const MAX_DEPTH = 64

/** The document of a good answer; a 400 or 422 may be the caller's doing, all else is the engine's. */
const documentOf = ({ status, mediaType, text }: RemoteAnswer): Exchanged<JsonObject> => {
  if (status !== 200) {
    return { failure: `answered ${status}`, fault: status === 400 || status === 422 ? 'caller' : 'engine' }
  }
  if (mediaType !== 'application/json') return broken('a content type other than application/json')
  const parsed = parseStrictJson(text, { caseInsensitiveDuplicates: false, maxDepth: MAX_DEPTH })
  if ('problem' in parsed) return broken(`what is not JSON: ${parsed.problem}`)
  return isJsonObject(parsed.value) ? { value: parsed.value } : broken('no JSON object')
}

const broken = (what: string) => ({ failure: `answered 200 with ${what}`, fault: 'engine' }) as const

const answerOf = (document: JsonValue | undefined): EngineAnswer | null => {
  if (!isJsonObject(document) || typeof document.decision !== 'boolean') return null
  const { decision, context } = document
  const { obligations, ...said } = readAnswerContext(context)
  // What failed is asked again.
  const failed = isJsonObject(context) && context.error !== undefined && context.error !== null
  return {
    decision: decision ? 'allow' : 'deny',
    reasons: [],
    errors: failed ? [oneLine(said.adminReason ?? 'the engine reports an error')] : [],
    ...said,
    obligations,
  }
}

export const readEvaluation = (reply: RemoteAnswer): Exchanged<readonly EngineAnswer[]> => {
  const document = documentOf(reply)
  if (!('value' in document)) return document
  const answer = answerOf(document.value)
  return answer === null ? broken('no boolean decision') : { value: [answer] }
}

/** @param asked how many answers there have to be: none may be missing, nor be one too many. */
export const readEvaluations = (reply: RemoteAnswer, asked: number): Exchanged<readonly EngineAnswer[]> => {
  const document = documentOf(reply)
  if (!('value' in document)) return document
  const { evaluations } = document.value
  if (!Array.isArray(evaluations) || evaluations.length !== asked)
    return broken(`no list of ${asked} decisions`)
  const answers = evaluations.map(answerOf)
  return answers.every((answer) => answer !== null) ? { value: answers } : broken('no boolean decision')
}
