import type { Subject } from '../../../core/access-request.ts'

/** What a mark can void: what there is of one subject, credential, session, task, resource or grant, or all. */
export const MARK_KINDS = ['subject', 'credential', 'session', 'task', 'resource', 'grant', 'all'] as const
export type MarkKind = (typeof MARK_KINDS)[number]

/** `grants`: decide again; `credentials`: that, and refuse what was authenticated before. */
export const MARK_EFFECTS = ['grants', 'credentials'] as const
export type MarkEffect = (typeof MARK_EFFECTS)[number]

/** Kinds of which credentials can be told; a task, a resource or a grant has none of its own. */
export const CREDENTIAL_KINDS: ReadonlySet<MarkKind> = new Set(['subject', 'credential', 'session', 'all'])

/** An entry in the revocation feed that voids what came before it. */
export interface Mark {
  /** Its position in the feed when it was published; one that is published again keeps it. */
  readonly id: string
  readonly kind: MarkKind
  /** Subjects and resources as `Type::id`; empty for `all`. */
  readonly target: string
  readonly effect: MarkEffect
  readonly reason: string
  /** Who published it: a token of the admin port by its name, or the part of the gateway. */
  readonly by: string
  /** What was authenticated up to then is refused by `effect: credentials`. Wall clock. */
  readonly issuedAtMs: number
  /** From then on nothing is refused for its sake. Wall clock. */
  readonly expiresAtMs: number
}

/** A mark that is to be published. */
export interface MarkDraft {
  readonly kind: MarkKind
  readonly target: string
  readonly effect: MarkEffect
  readonly reason: string
  readonly by: string
  /** Default: by `defaultLifeMs`. Never sooner than `MIN_MARK_LIFE_MS` from now. */
  readonly expiresAtMs?: number
}

/** No grant lives longer, so that a mark which is older voids none. */
export const MIN_MARK_LIFE_MS = 24 * 60 * 60 * 1000

/** `Type::id`, as marks name subjects and resources. */
export const entityName = ({ type, id }: Pick<Subject, 'type' | 'id'>): string =>
  // Each grant keeps one: V8 would keep a template's parts beside the text that it makes of them later.
  [type, id].join('::')

/** Callers can cause as many marks by these as they like: by another context, by signing in and out, by tasks. */
const CAUSED_BY_CALLERS = /^(?:gateway|authenticate|upstream:.*)$/

/** How many marks may be in force for one more of this origin: callers leave a quarter to those who revoke. */
export const mostMarks = ({ by }: Pick<MarkDraft, 'by'>, maxMarks: number): number =>
  CAUSED_BY_CALLERS.test(by) ? Math.floor(maxMarks * 0.75) : maxMarks
