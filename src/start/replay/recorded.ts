import { isJsonObject, type JsonObject, type JsonValue } from '../../core/json.ts'
import type { RecordedReads } from '../../gateway/bind/recorded-reads.ts'

/** What is known of a recorded request, as far as its record can be believed. */
export interface Recorded {
  readonly id: string
  readonly decision: 'allow' | 'deny'
  readonly code: string
  readonly source: string
  readonly route: string | null
  readonly request: {
    readonly id: string
    readonly method: string
    readonly host: string
    readonly path: string
    readonly ip: string
  }
  readonly subject: JsonObject | null
  /** As the authenticator made it. */
  readonly authenticated: JsonObject | null
  readonly credential: JsonObject | null
  /** The question: everything in it that is compared. */
  readonly question: JsonValue
  readonly reasons: readonly string[]
  readonly reads: RecordedReads
  readonly mapping: string | null
  readonly authentication: string | null
}

/** Why a line is no decision about a request that could be decided again. */
export type NotReplayed = 'illegible' | 'follows' | 'not-a-request'

const text = (value: JsonValue | undefined): string => (typeof value === 'string' ? value : '')
const textOrNull = (value: JsonValue | undefined): string | null => (typeof value === 'string' ? value : null)
const objectOrNull = (value: JsonValue | undefined): JsonObject | null => (isJsonObject(value) ? value : null)
const texts = (value: JsonValue | undefined): readonly string[] =>
  Array.isArray(value) ? value.filter((each) => typeof each === 'string') : []

/** Reads a line of a log that is JSON. */
export const readRecorded = (record: JsonObject): Recorded | NotReplayed => {
  const { id, decision, code, request } = record
  if (typeof record.follows === 'string') return 'follows'
  // A mark is about no request.
  if (record.mark !== undefined) return 'not-a-request'
  if (typeof code !== 'string' || !isJsonObject(request)) return 'not-a-request'
  if (decision !== 'allow' && decision !== 'deny') return 'not-a-request'
  const subject = objectOrNull(record.subject)
  return {
    id: text(id),
    decision,
    code,
    source: text(record.source),
    route: textOrNull(record.route),
    request: {
      id: text(request.id),
      method: text(request.method),
      host: text(request.host),
      path: text(request.path),
      ip: text(request.ip),
    },
    subject,
    authenticated: objectOrNull(record.authenticated) ?? subject,
    credential: objectOrNull(record.credential),
    question: questionOf(record),
    reasons: texts(record.reasons),
    reads: { inputs: objectOrNull(record.inputs) ?? {}, absent: new Set(texts(record.absent)) },
    mapping: textOrNull(record.mapping),
    authentication: textOrNull(record.authentication),
  }
}

/** What was asked, in one form for recorded and for new records; null where nothing was. */
export const questionOf = (record: JsonObject): JsonValue => {
  const { action, resource, context, evaluations, subject } = record
  if (Array.isArray(evaluations)) {
    const asked = evaluations.map((each: JsonValue) =>
      isJsonObject(each)
        ? [each.subject ?? null, each.action ?? null, each.resource ?? null, each.context ?? null]
        : null,
    )
    return [subject ?? null, asked]
  }
  if (action === undefined) return null
  return [subject ?? null, action, resource ?? null, context ?? null]
}

const UUID_V7_TIME = /^([0-9a-f]{8})-([0-9a-f]{4})-7/

/** When the request came, in milliseconds since the epoch: its id tells. Null for an id of another form. */
export const receivedAtMs = (requestId: string): number | null => {
  const [, high = '', low = ''] = UUID_V7_TIME.exec(requestId) ?? []
  return high === '' ? null : Number.parseInt(high + low, 16)
}
