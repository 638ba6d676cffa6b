import type { Bound, Decision } from '../../core/decision.ts'
import type { Identity } from '../../core/identity.ts'
import type { RecordEntry } from '../../core/record-entry.ts'
import { isRefusal } from '../../core/refusals.ts'
import type { Route } from '../../core/route.ts'
import type { DecisionRecord, RecordedCredential, RecordedRequest } from './decision-record.ts'

/** What a grant's answers to one question have in common, and the text of it. */
interface Common {
  readonly decision: Decision
  readonly route: Route | null
  readonly identity: Identity | null
  /** From `decision` to the credential, and from there to the request; without braces, with commas at both ends. */
  readonly before: string
  readonly after: string
  /** What stands around the age of the credential; it is of one identity. */
  readonly credential: { readonly before: string; readonly after: string } | null
}

/** The fields that differ between requests that one grant serves; all others are the same. */
const OWN: ReadonlySet<string> = new Set([
  ...['v', 'id', 'time', 'credential', 'request', 'latencyUs', 'traceparent', 'writer'],
])

/**
 * Makes the function that turns a record into its line: the very text of `JSON.stringify(record)`.
 *
 * Most of what is recorded of a request that a live grant serves was recorded with the one before it, so that its
 * text is remembered, by the question itself, for as long as that lives. For the records of one configuration.
 */
export const createRecordLine = (): ((record: DecisionRecord, entry: RecordEntry) => string) => {
  const known = new WeakMap<Bound, Common>()

  const commonOf = (record: DecisionRecord, entry: RecordEntry): Common | null => {
    const { bound, outcome, route, identity } = entry
    if (bound === null || isRefusal(outcome) || !isPlain(entry)) return null
    // Of what is not kept, the next one will be another object.
    if (bound.isKept !== true || outcome.source !== 'grant') return null
    const common = known.get(bound)
    if (common?.decision === outcome && common.route === route && common.identity === identity) return common
    const made: Common = { decision: outcome, route, identity, ...commonText(record) }
    known.set(bound, made)
    return made
  }

  return (record, entry) => {
    const common = commonOf(record, entry)
    if (common === null) return JSON.stringify(record)
    const { id, time, credential, request, latencyUs, traceparent, writer } = record
    // Neither an id nor a time holds anything that JSON escapes.
    let line = `{"v":1,"id":"${id}","time":"${time}"${common.before}`
    if (credential !== undefined && common.credential !== null) {
      const { before, after } = common.credential
      const { ageSeconds } = credential
      line += `${before}${ageSeconds === undefined ? '' : `,"ageSeconds":${numeral(ageSeconds)}`}${after}`
    }
    line += `${common.after}"request":${requestText(request)},"latencyUs":${numbersText(latencyUs)}`
    if (traceparent !== undefined) line += `,"traceparent":${quoted(traceparent)}`
    return `${line},"writer":${quoted(writer)}}`
  }
}

/** Text of which JSON escapes nothing. */
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/

const quoted = (text: string): string => (PLAIN.test(text) ? `"${text}"` : JSON.stringify(text))

const numeral = (value: number): string => (Number.isFinite(value) ? `${value}` : 'null')

const requestText = ({ id, method, host, path, ip }: RecordedRequest): string => {
  let text = `{"id":${quoted(id)}`
  if (method !== undefined) text += `,"method":${quoted(method)}`
  if (host !== undefined) text += `,"host":${quoted(host)}`
  if (path !== undefined) text += `,"path":${quoted(path)}`
  if (ip !== undefined) text += `,"ip":${quoted(ip)}`
  return `${text}}`
}

const numbersText = (numbers: Readonly<Record<string, number>>): string => {
  let text = ''
  for (const name in numbers) {
    text += `${text === '' ? '' : ','}${quoted(name)}:${numeral(numbers[name] ?? Number.NaN)}`
  }
  return `{${text}}`
}

const credentialText = (credential: RecordedCredential | undefined): Common['credential'] => {
  if (credential === undefined) return null
  const { type, authenticator, id, issuer } = credential
  return {
    before: `"credential":${JSON.stringify({ type, authenticator, id }).slice(0, -1)}`,
    after: `${issuer === undefined ? '' : `,"issuer":${JSON.stringify(issuer)}`}},`,
  }
}

/** True for what says nothing of its own besides the fields of `OWN`. */
const isPlain = ({ follows, observed, coalesced, mark, stream }: RecordEntry): boolean =>
  follows === undefined &&
  observed !== true &&
  coalesced === undefined &&
  mark === undefined &&
  stream === undefined

const commonText = (record: DecisionRecord): Pick<Common, 'before' | 'after' | 'credential'> => {
  const before: Record<string, unknown> = {}
  const after: Record<string, unknown> = {}
  let passed = false
  for (const [key, value] of Object.entries(record)) {
    if (key === 'credential') passed = true
    else if (!OWN.has(key)) (passed ? after : before)[key] = value
  }
  return {
    before: `,${JSON.stringify(before).slice(1, -1)},`,
    after: `${JSON.stringify(after).slice(1, -1)},`,
    credential: credentialText(record.credential),
  }
}
