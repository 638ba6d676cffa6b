import type { JsonObject, JsonValue } from '../../../core/json.ts'

/** What an engine says beside its decision, in the form that AuthZEN suggests. */
export interface AnswerContext {
  readonly userReason?: string
  readonly adminReason?: string
  readonly obligations: readonly JsonObject[]
}

const MOST_CHARACTERS = 1000

export const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Stands for obligations that cannot be read: nobody can fulfil it. */
const UNREADABLE: JsonObject = { type: 'unreadable' }

/**
 * Reads the `context` of an answer. What is not understood is ignored, apart from obligations.
 *
 * @see https://openid.net/specs/authorization-api-1_0.html section 5.5 (Decision)
 */
export const readAnswerContext = (context: JsonValue | undefined): AnswerContext => {
  if (!isJsonObject(context)) return { obligations: [] }
  const userReason = reasonOf(context.reason_user)
  const adminReason = reasonOf(context.reason_admin) ?? reasonOf(context.reason) ?? errorOf(context.error)
  return {
    ...(userReason === undefined ? {} : { userReason }),
    ...(adminReason === undefined ? {} : { adminReason }),
    obligations: obligationsOf(context.obligations),
  }
}

/** A text, or one for each status or language: that of 403, else of English, else the first. */
const reasonOf = (value: JsonValue | undefined): string | undefined => {
  if (typeof value === 'string') return bounded(value)
  if (!isJsonObject(value)) return undefined
  const candidates = [value['403'], value.en, ...Object.values(value)]
  const text = candidates.find((candidate) => typeof candidate === 'string')
  return text === undefined ? undefined : bounded(text)
}

const errorOf = (error: JsonValue | undefined): string | undefined => {
  if (!isJsonObject(error)) return undefined
  const { status, message } = error
  return bounded(`the engine reports the error ${String(status ?? '')} ${String(message ?? '')}`.trim())
}

const obligationsOf = (value: JsonValue | undefined): readonly JsonObject[] => {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) return [UNREADABLE]
  return value.map((obligation) => (isJsonObject(obligation) ? obligation : UNREADABLE))
}

const bounded = (text: string): string =>
  text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text
