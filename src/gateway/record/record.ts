import { isDeepStrictEqual } from 'node:util'
import type { AccessRequest, Subject } from '../../core/access-request.ts'
import type { Clock } from '../../core/clock.ts'
import type { Decision, EvaluationResult } from '../../core/decision.ts'
import type { Credential, Identity } from '../../core/identity.ts'
import { isoTime } from '../../core/iso-time.ts'
import { type HeldRecord, RECORDED, type RecordEntry, type RecordedMark } from '../../core/record-entry.ts'
import { isRefusal, type Refusal, refuse } from '../../core/refusals.ts'
import type { RequestFacts } from '../../core/request.ts'
import type { Route } from '../../core/route.ts'
import { randomUuidV7 } from '../../core/uuid.ts'
import { authenticationHash } from './authentication-hash.ts'
import type {
  DecisionRecord,
  RecordedCredential,
  RecordedEvaluation,
  RecordedRequest,
} from './decision-record.ts'
import { createRecordLine } from './record-line.ts'
import type { Batch, Sink, SinkFailure } from './sinks/sink.ts'

/** Longer than any request line that the listener lets in; what is longer is cut, so that no line grows without bound. */
const MAX_TEXT = 65_536

export interface RecordStage {
  /**
   * Keeps a record by every sink. True, or the refusal `audit_unavailable` when a required sink failed; sinks that had
   * taken the record already then get another one that says so.
   */
  readonly write: (entry: RecordEntry) => true | Refusal
  /**
   * The same, together with others of this turn of the event loop where the sink can do that; left out where there is
   * not one sink, since of several each would have to take its lines back when another one fails.
   *
   * @param whenSettled called once, with what becomes of it.
   * @returns the refusal when that is known at once.
   */
  readonly hold?: (entry: RecordEntry, whenSettled: (result: true | Refusal) => void) => HeldRecord | Refusal
}

/**
 * Makes the record stage: one line a decision, kept by every sink before the request is sent on or answered.
 *
 * @param writer      names this process in each record: stable across restarts, different in each worker.
 * @param onRecorded  called with each record that was kept, as no sink has redacted it.
 */
export const createRecord = (deps: {
  readonly sinks: readonly Sink[]
  readonly configVersion: string
  readonly writer: string
  readonly clock: Clock
  readonly onRecorded?: (line: string, record: DecisionRecord) => void
}): RecordStage => {
  const { sinks, clock, onRecorded } = deps
  const lineOf = createRecordLine()

  const withdraw = (entry: RecordEntry, refusal: Refusal, taken: readonly Sink[]): void => {
    const id = randomUuidV7(clock.nowMs())
    const record = decisionRecord({ ...entry, id, follows: entry.id, outcome: refusal }, deps)
    const line = JSON.stringify(record)
    for (const sink of taken) sink.write(line, record)
  }

  const write: RecordStage['write'] = (entry) => {
    const record = decisionRecord(entry, deps)
    const line = lineOf(record, entry)
    for (const sink of sinks) {
      const refusal = refusalOf(sink, sink.write(line, record))
      if (refusal === null) continue
      withdraw(entry, refusal, sinks.slice(0, sinks.indexOf(sink)))
      return refusal
    }
    onRecorded?.(line, record)
    return true
  }

  const [sink, another] = sinks
  if (sink === undefined || another !== undefined) return { write }
  return {
    write,
    hold: (entry, whenSettled) => {
      // Of the sink that is there now: an edit may have put another one in its place.
      const { batch } = sink
      if (batch === undefined) {
        const result = write(entry)
        whenSettled(result)
        return result === true ? RECORDED : result
      }
      const record = decisionRecord(entry, deps)
      const line = lineOf(record, entry)
      const held = new Held(batch)
      batch.hold(line, record, (written) => {
        const refusal = refusalOf(sink, written)
        if (refusal === null) onRecorded?.(line, record)
        held.result = refusal ?? true
        whenSettled(held.result)
      })
      return held
    },
  }
}

class Held implements HeldRecord {
  readonly batch: Batch
  result: true | Refusal | null = null

  constructor(batch: Batch) {
    this.batch = batch
  }

  settle(): true | Refusal {
    if (this.result === null) this.batch.commit()
    if (this.result === null) throw new Error('a sink did not say what became of a record')
    return this.result
  }
}

const refusalOf = (sink: Sink, written: true | SinkFailure): Refusal | null =>
  written === true || !sink.required
    ? null
    : refuse('record', 'audit_unavailable', `${sink.name}: ${written.failed}`)

/** The record of one entry. Never holds headers, the query string or a credential. */
export const decisionRecord = (
  entry: RecordEntry,
  by: { readonly configVersion: string; readonly writer: string; readonly clock: Clock },
): DecisionRecord => {
  const { request, route, identity, bound } = entry
  const nowMs = by.clock.nowMs()
  const decision = isRefusal(entry.outcome) ? null : entry.outcome
  const verdict = verdictOf(entry)
  const refusal = isRefusal(entry.outcome) ? entry.outcome : null
  const read = bound ?? refusal?.read
  const first = bound?.accessRequests[0]
  const subject = first?.subject ?? identity?.subject
  const asked = bound === null || bound.batch ? undefined : first
  // Optional fields are left undefined, not left out: JSON.stringify drops them, and the object keeps one shape. Nothing
  // is spread into it, after which V8 would define each field by itself.
  const record: Unfinished<DecisionRecord> = {
    v: 1,
    id: entry.id,
    follows: entry.follows,
    time: isoTime(nowMs),
    decision: verdict.decision,
    code: verdict.code,
    source: verdict.source,
    detail: verdict.detail,
    count: entry.coalesced?.count,
    since: entry.coalesced === undefined ? undefined : new Date(entry.coalesced.sinceMs).toISOString(),
    mode: route?.mode === 'observe' ? 'observe' : undefined,
    forwarded: entry.observed === true ? true : undefined,
    subject,
    credential: identity === null ? undefined : recordedCredential(identity.credential, nowMs),
    action: asked?.action,
    resource: asked?.resource,
    context: asked?.context,
    evaluations: evaluations(entry, decision, subject),
    route: known(route?.name),
    owner: known(route?.owner),
    engine: known(route?.engine),
    engines: decision?.engines,
    policyVersion: known(decision?.policyVersion),
    configVersion: by.configVersion,
    reasons: decision?.reasons,
    errors: decision === null || decision.errors.length === 0 ? undefined : decision.errors,
    adminReason: known(decision?.adminReason),
    advice: decision?.advice,
    templates: decision?.templates,
    engineDecisionId: known(decision?.engineDecisionId),
    grant: grantOf(decision),
    shadow: decision?.shadow,
    stream: entry.stream,
    inputs: read?.inputs === undefined || isEmpty(read.inputs) ? undefined : read.inputs,
    absent: read?.absent,
    authenticated: isAsAuthenticated(subject, identity) ? undefined : identity?.subject,
    mapping: refusal?.read?.mapping,
    authentication: authenticationOf(route, refusal),
    mark: entry.mark === undefined ? undefined : recordedMark(entry.mark),
    request: recordedRequest(request),
    latencyUs: entry.latencyUs,
    traceparent: request.traceparent,
    writer: by.writer,
  }
  // Undefined fields do not survive JSON.stringify, so that the line has the declared type.
  return record as DecisionRecord
}

// Nearly always the very same object: a route that adds nothing makes no other.
const isAsAuthenticated = (subject: Subject | undefined, identity: Identity | null): boolean =>
  subject === identity?.subject || isDeepStrictEqual(subject, identity?.subject)

/** Of routes that ask for more than a credential, and of what was not met. */
const authenticationOf = (route: Route | null, refusal: Refusal | null): string | undefined =>
  route !== null && (refusal?.stage === 'authenticate' || route.require !== undefined)
    ? authenticationHash(route)
    : undefined

type Verdict = Pick<Unfinished<DecisionRecord>, 'detail'> &
  Pick<DecisionRecord, 'decision' | 'code' | 'source'>

const verdictOf = ({ outcome, mark, stream }: RecordEntry): Verdict => {
  if (isRefusal(outcome)) return refused(outcome)
  if (mark !== undefined) {
    const code = mark.what === 'published' ? 'revoked' : 'revocation_withdrawn'
    return { decision: 'deny', code, source: 'revocation' }
  }
  const verdict = decided(outcome)
  return stream === undefined || verdict.decision === 'deny' ? verdict : { ...verdict, ...ENDED }
}

/** What was allowed, and has ended by itself. */
const ENDED = { code: 'ended', source: 'stream' } as const

const recordedMark = ({ what: _what, expiresAtMs, ...mark }: RecordedMark): DecisionRecord['mark'] => ({
  ...mark,
  expires: new Date(expiresAtMs).toISOString(),
})

const decided = ({ decision, source }: Decision): Verdict => ({
  decision,
  code: decision === 'allow' ? 'allowed' : 'denied',
  source,
})

const refused = ({ refusal, stage, detail }: Refusal): Verdict => ({
  decision: 'deny',
  code: refusal,
  source: stage,
  detail: known(detail),
})

/** The same fields, any of which may be undefined. */
type Unfinished<T> = { readonly [Key in keyof T]: T[Key] | undefined }

const evaluations = (
  { bound }: RecordEntry,
  decision: Decision | null,
  subject: Subject | undefined,
): DecisionRecord['evaluations'] =>
  bound === null || !bound.batch
    ? undefined
    : bound.accessRequests.map((asked, index) =>
        recordedEvaluation(asked, decision?.evaluations?.[index], subject),
      )

const recordedEvaluation = (
  asked: AccessRequest,
  answer: EvaluationResult | undefined,
  subject: Subject | undefined,
): RecordedEvaluation => ({
  ...(isDeepStrictEqual(asked.subject, subject) ? {} : { subject: asked.subject }),
  action: asked.action,
  resource: asked.resource,
  context: asked.context,
  ...(answer === undefined ? {} : { decision: answer.decision, reasons: answer.reasons }),
  ...(answer?.engines === undefined ? {} : { engines: answer.engines }),
})

const recordedCredential = (credential: Credential, nowMs: number): RecordedCredential => {
  const { type, authenticator, id, issuedAt, issuer } = credential
  const ageSeconds = issuedAt === undefined ? undefined : Math.max(0, Math.floor(nowMs / 1000 - issuedAt))
  const fields: Unfinished<RecordedCredential> = { type, authenticator, id, ageSeconds, issuer }
  return fields as RecordedCredential
}

const recordedRequest = (request: RequestFacts): RecordedRequest => {
  const { id, method, host, path, ip } = request
  const fields: Unfinished<RecordedRequest> = {
    id,
    method: known(method),
    host: known(host),
    path: known(withoutQuery(path)),
    ip: known(ip),
  }
  return fields as RecordedRequest
}

/** A refused target may be recorded as it came: its query could hold a token, its authority a password. */
const withoutQuery = (path: string): string => {
  const end = path.search(/[?#]/)
  const bare = end === -1 ? path : path.slice(0, end)
  return bare.startsWith('/') ? bare : bare.slice(bare.lastIndexOf('@') + 1)
}

// A grant is recorded with every request that it serves; the one that it was made for may be the only one.
const recordedGrants = new WeakMap<NonNullable<Decision['grant']>, DecisionRecord['grant']>()

const grantOf = (decision: Decision | null): DecisionRecord['grant'] | undefined => {
  const grant = decision?.grant
  if (grant === undefined) return undefined
  const recorded = recordedGrants.get(grant)
  if (recorded !== undefined) return recorded
  const made = { id: grant.id, expires: new Date(grant.expiresAtMs).toISOString() }
  if (decision?.source !== 'engine') recordedGrants.set(grant, made)
  return made
}

const known = (text: string | undefined): string | undefined => {
  if (text === undefined || text === '') return undefined
  return text.length > MAX_TEXT ? text.slice(0, MAX_TEXT) : text
}

const isEmpty = (value: object): boolean => {
  for (const _ in value) return false
  return true
}
