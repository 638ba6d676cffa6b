import type { Subject } from '../../../core/access-request.ts'
import type { Credential, Identity } from '../../../core/identity.ts'
import { entityName, type Mark, type MarkKind } from './mark.ts'
import { comparePositions, type Held, heldPosition, type Position, START } from './position.ts'

/** What a mark can be about, of one grant. */
export interface GrantFacts {
  readonly id: string
  /** `Type::id`. */
  readonly subject: string
  /** The credential's `id`. */
  readonly credential: string
  readonly session?: string
  readonly task?: string
  /** `Type::id` of each question's. */
  readonly resources: readonly string[]
}

/** The marks that were applied, by what they are about: every look-up takes the same time, however many there are. */
export interface MarkTable {
  /** @param position at which it came; not before any other of this epoch. */
  readonly apply: (mark: Mark, position: Position) => void
  /** Nothing is refused for its sake any more; what it has voided stays void. */
  readonly withdraw: (id: string) => Mark | undefined
  /** What is held of another epoch is void, whatever it is about. Marks stay. */
  readonly setEpoch: (epoch: string) => void
  /** What is held of before there is void: marks from then are not kept. */
  readonly setFloor: (position: Position) => void
  readonly has: (id: string) => boolean
  readonly size: () => number
  /** Forgets what has expired. */
  readonly forget: (nowMs: number) => void
  /** Changes with every mark that is applied or withdrawn. */
  readonly changes: () => number
  /** True when a mark that came after `held` covers the grant. */
  readonly voids: (grant: GrantFacts, held: Held) => boolean
  /** The mark for whose sake the caller is refused; see `Mark.effect`. */
  readonly refuses: (identity: Pick<Identity, 'subject' | 'credential'>, nowMs: number) => Mark | undefined
  /** By age, the oldest first. */
  readonly marks: () => readonly Mark[]
}

/** Marks of one kind and target. */
interface Slot {
  /** Of the latest mark, withdrawn ones too. */
  last: Position
  /** Of all of them; when to forget the slot. */
  lastEndsAtMs: number
  /** Those with `effect: credentials`. */
  readonly refusing: Map<string, Mark>
}

interface Judged {
  /** Who asks by AuthZEN has one credential, and asks about many subjects. */
  readonly subject: Subject
  readonly changes: number
  readonly mark: Mark | undefined
}

export const createMarkTable = (firstEpoch: string): MarkTable => {
  const marks = new Map<string, Mark>()
  const slots = new Map<string, Slot>()
  let epoch = firstEpoch
  let floor = START
  let refusing = 0
  let changes = 0
  let judged = new WeakMap<Credential, Judged>()

  const changed = (): void => {
    changes += 1
    judged = new WeakMap()
  }

  const slotOf = (kind: MarkKind, target: string | undefined): Slot | undefined =>
    target === undefined ? undefined : slots.get(`${kind} ${target}`)

  const isAfter = (slot: Slot | undefined, held: Position): boolean =>
    slot !== undefined && comparePositions(slot.last, held) > 0

  const remove = (mark: Mark): void => {
    marks.delete(mark.id)
    if (slotOf(mark.kind, mark.target)?.refusing.delete(mark.id) === true) refusing -= 1
  }

  const judge = (subject: Subject, credential: Credential, nowMs: number): Mark | undefined => {
    const about: readonly (readonly [MarkKind, string | undefined])[] = [
      ['session', credential.session],
      ['credential', credential.id],
      ['subject', entityName(subject)],
      ['all', ''],
    ]
    for (const [kind, target] of about) {
      for (const mark of slotOf(kind, target)?.refusing.values() ?? []) {
        if (nowMs < mark.expiresAtMs && isBefore(credential, mark)) return mark
      }
    }
    return undefined
  }

  return {
    apply: (mark, position) => {
      const name = `${mark.kind} ${mark.target}`
      const slot = slots.get(name) ?? { last: position, lastEndsAtMs: 0, refusing: new Map() }
      slots.set(name, slot)
      if (comparePositions(position, slot.last) > 0) slot.last = position
      slot.lastEndsAtMs = Math.max(slot.lastEndsAtMs, mark.expiresAtMs)
      if (mark.effect === 'credentials' && !slot.refusing.has(mark.id)) {
        slot.refusing.set(mark.id, mark)
        refusing += 1
      }
      marks.set(mark.id, mark)
      changed()
    },
    withdraw: (id) => {
      const mark = marks.get(id)
      if (mark === undefined) return undefined
      remove(mark)
      changed()
      return mark
    },
    setEpoch: (next) => {
      epoch = next
      floor = START
      // Positions of the one epoch mean nothing in the other, in which nothing is held yet.
      for (const [name, slot] of slots) {
        if (slot.refusing.size === 0) slots.delete(name)
        else slot.last = START
      }
      changed()
    },
    setFloor: (position) => {
      if (comparePositions(position, floor) <= 0) return
      floor = position
      changed()
    },
    has: (id) => marks.has(id),
    size: () => marks.size,
    forget: (nowMs) => {
      let forgotten = 0
      for (const mark of marks.values()) {
        if (nowMs < mark.expiresAtMs) continue
        remove(mark)
        forgotten += 1
      }
      for (const [name, { lastEndsAtMs }] of slots) if (nowMs >= lastEndsAtMs) slots.delete(name)
      if (forgotten > 0) changed()
    },
    changes: () => changes,
    voids: (grant, from) => {
      const held = heldPosition(epoch, from)
      if (held === null || comparePositions(held, floor) < 0) return true
      if (slots.size === 0) return false
      return (
        isAfter(slotOf('all', ''), held) ||
        isAfter(slotOf('subject', grant.subject), held) ||
        isAfter(slotOf('credential', grant.credential), held) ||
        isAfter(slotOf('session', grant.session), held) ||
        isAfter(slotOf('task', grant.task), held) ||
        isAfter(slotOf('grant', grant.id), held) ||
        grant.resources.some((resource) => isAfter(slotOf('resource', resource), held))
      )
    },
    refuses: ({ subject, credential }, nowMs) => {
      if (refusing === 0 || credential.type === 'anonymous') return undefined
      const known = judged.get(credential)
      // A judgement lasts until the marks change; one that has expired since is looked at again.
      if (known !== undefined && known.changes === changes && known.subject === subject) {
        if (known.mark === undefined || nowMs < known.mark.expiresAtMs) return known.mark
      }
      const mark = judge(subject, credential, nowMs)
      judged.set(credential, { subject, changes, mark })
      return mark
    },
    marks: () => [...marks.values()].sort((left, right) => comparePositions(left.id, right.id)),
  }
}

/**
 * True when the credential was authenticated no later than in the second in which the mark was issued.
 *
 * A session, or one credential, that was ended stays so. What does not say when it was authenticated counts as before.
 */
const isBefore = ({ authenticatedAt, issuedAt }: Credential, mark: Mark): boolean => {
  if (mark.kind === 'session' || mark.kind === 'credential') return true
  // Nothing tells of a login that came after it: one that does has its times in another unit, or wrong.
  const atSeconds = Math.min(
    authenticatedAt ?? Number.POSITIVE_INFINITY,
    issuedAt ?? Number.POSITIVE_INFINITY,
  )
  return !Number.isFinite(atSeconds) || Math.floor(atSeconds) <= Math.floor(mark.issuedAtMs / 1000)
}
