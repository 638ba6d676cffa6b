import type { JsonObject, JsonValue } from '../../../core/json.ts'

/** Events of CAEP that can take access back; the last part of their URIs. */
export const EVENTS = [
  'session-revoked',
  'token-claims-change',
  'credential-change',
  'assurance-level-change',
  'device-compliance-change',
] as const
export type SignalEvent = (typeof EVENTS)[number]

/** Parts of a subject: `self` for a simple one, else a member of a complex one. */
export const MEMBERS = [
  'self',
  'user',
  'session',
  'device',
  'application',
  'tenant',
  'org_unit',
  'group',
] as const
export type Member = (typeof MEMBERS)[number]

const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/'
const STREAM = 'https://schemas.openid.net/secevent/ssf/event-type/'

export const VERIFICATION = `${STREAM}verification`
export const STREAM_UPDATED = `${STREAM}stream-updated`

/** Null for another event. */
export const eventOf = (uri: string): SignalEvent | null =>
  uri.startsWith(CAEP) ? (EVENTS.find((event) => event === uri.slice(CAEP.length)) ?? null) : null

/** One part of a subject, and the value that names it. */
export interface SubjectPart {
  readonly member: Member
  readonly format: string
  readonly value: string
}

/** Where each format has its value. RFC 9493, and SSF 1.0 section 3. */
const VALUE_OF: ReadonlyMap<string, string> = new Map([
  ['iss_sub', 'sub'],
  ['email', 'email'],
  ['opaque', 'id'],
  ['account', 'uri'],
  ['phone_number', 'phone_number'],
  ['did', 'url'],
  ['uri', 'uri'],
  ['jwt_id', 'jti'],
])

const isObject = (value: JsonValue | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * The parts of a subject that can be read; `aliases` are each a part of their own.
 *
 * @param issuers an `iss_sub` of another issuer is somebody else, and left out.
 */
export const partsOf = (
  subject: JsonValue | undefined,
  issuers: readonly string[],
  member: Member = 'self',
): readonly SubjectPart[] => {
  if (!isObject(subject)) return []
  const { format } = subject
  if (format === 'complex' && member === 'self') {
    return MEMBERS.flatMap((each) => (each === 'self' ? [] : partsOf(subject[each], issuers, each)))
  }
  const { identifiers } = subject
  if (format === 'aliases' && Array.isArray(identifiers)) {
    return identifiers.flatMap((each: JsonValue) =>
      isObject(each) && each.format !== 'aliases' ? partsOf(each, issuers, member) : [],
    )
  }
  if (typeof format !== 'string') return []
  if ((format === 'iss_sub' || format === 'jwt_id') && !issuers.includes(String(subject.iss))) return []
  const value = subject[VALUE_OF.get(format) ?? '']
  return typeof value === 'string' && value !== '' ? [{ member, format, value }] : []
}
