import type { JsonObject } from '../../../core/json.ts'
import type { SignalRule, Transmitter } from './config.ts'
import type { SignalEvent, SubjectPart } from './events.ts'

/** A mark that an event asks for. */
export interface SignalMark {
  readonly kind: 'subject' | 'session' | 'credential'
  readonly target: string
  readonly effect: 'grants' | 'credentials'
}

type Rule = Omit<SignalRule, 'events' | 'formats'> & {
  readonly events: readonly SignalEvent[]
  readonly formats?: readonly string[] | undefined
}

const REVOKED: readonly SignalEvent[] = ['session-revoked']
const CHANGED: readonly SignalEvent[] = [
  'token-claims-change',
  'credential-change',
  'assurance-level-change',
  'device-compliance-change',
]
const USER_FORMATS = ['iss_sub', 'email', 'account', 'phone_number', 'did', 'uri'] as const

/** What is done where no rule of the transmitter says otherwise: rather too much is revoked than too little. */
const DEFAULTS: readonly Rule[] = [
  { events: REVOKED, member: 'session', mark: 'session', effect: 'credentials' },
  { events: REVOKED, member: 'self', formats: ['opaque'], mark: 'session', effect: 'credentials' },
  { events: CHANGED, member: 'self', formats: ['opaque'], mark: 'subject', effect: 'credentials' },
  {
    events: [...REVOKED, ...CHANGED],
    member: 'self',
    formats: ['jwt_id'],
    mark: 'credential',
    effect: 'credentials',
  },
  {
    events: [...REVOKED, ...CHANGED],
    member: 'self',
    formats: USER_FORMATS,
    mark: 'subject',
    effect: 'credentials',
  },
  { events: [...REVOKED, ...CHANGED], member: 'user', mark: 'subject', effect: 'credentials' },
]

/**
 * The marks that an event asks for.
 *
 * Of the transmitter's own rules, and then of those that there are always, the first one counts that fits a part of the
 * subject; it may fit several, such as aliases, which are all marked. A change for the better (a credential that was
 * added, a device that complies, a higher level) lets the engine decide again and refuses no credential.
 *
 * @returns null when no rule fits the subject.
 */
export const marksOf = (
  { rules, subject }: Pick<Transmitter, 'rules' | 'subject'>,
  event: SignalEvent,
  parts: readonly SubjectPart[],
  payload: JsonObject,
): readonly SignalMark[] | null => {
  for (const rule of [...rules, ...DEFAULTS] satisfies readonly Rule[]) {
    if (!rule.events.includes(event)) continue
    const fitting = parts.filter(
      ({ member, format }) => member === rule.member && (rule.formats?.includes(format) ?? true),
    )
    if (fitting.length === 0) continue
    const { mark } = rule
    if (mark === 'none') return []
    const effect = isForTheBetter(event, payload) ? 'grants' : rule.effect
    return fitting.map(({ value }) => ({
      kind: mark,
      target: mark === 'subject' ? `${subject.type}::${subject.prefix}${value}` : value,
      effect,
    }))
  }
  return null
}

const isForTheBetter = (event: SignalEvent, payload: JsonObject): boolean => {
  if (event === 'credential-change') return payload.change_type === 'create'
  if (event === 'assurance-level-change') return payload.change_direction === 'increase'
  return event === 'device-compliance-change' && payload.current_status === 'compliant'
}
