import { z } from 'zod'
import type { NotPublished } from '../gateway/decide/revocations/feed.ts'
import {
  CREDENTIAL_KINDS,
  MARK_EFFECTS,
  MARK_KINDS,
  type Mark,
  type MarkDraft,
  type MarkKind,
  MIN_MARK_LIFE_MS,
} from '../gateway/decide/revocations/mark.ts'

const MAX_TARGET = 2048
const MAX_REASON = 1000

const target = (expected: string) =>
  z
    .string({ error: `expected ${expected}` })
    .min(1, { error: `expected ${expected}` })
    .max(MAX_TARGET)
    .optional()
const entity = (example: string) =>
  target(`Type::id, such as ${example}`).refine((text) => text === undefined || /^.+::.+$/s.test(text), {
    error: `expected Type::id, such as ${example}`,
  })

const DRAFT = z.strictObject({
  subject: entity('User::alice'),
  credential: target("a credential's id, as decision records have it"),
  session: target("a session's id"),
  task: target("a task's id"),
  resource: entity('Account::42'),
  grant: target("a grant's id, as decision records have it"),
  all: z.literal(true, { error: 'expected true' }).optional(),
  effect: z.enum(MARK_EFFECTS, { error: 'expected grants or credentials' }).default('grants'),
  reason: z.string({ error: 'expected text' }).max(MAX_REASON).default(''),
  expires: z.iso.datetime({ offset: true, error: 'expected a time such as 2026-11-23T22:10:00Z' }).optional(),
})

/**
 * Reads what is asked to be revoked.
 *
 * @param body of `POST /v1/revocations`: one of subject, credential, session, task, resource, grant and all, with
 *   effect (default grants), reason, and expires.
 */
export const readMarkDraft = (
  body: unknown,
  by: string,
  nowMs: number,
): MarkDraft | { readonly mistake: string } => {
  const read = DRAFT.safeParse(body)
  if (!read.success) return { mistake: read.error.issues.map(tell).join('; ') }
  const { effect, reason, expires, ...targets } = read.data
  const given = MARK_KINDS.flatMap((kind): (readonly [MarkKind, string])[] => {
    const value = targets[kind]
    return value === undefined ? [] : [[kind, value === true ? '' : value]]
  })
  const [one, another] = given
  if (one === undefined || another !== undefined) {
    return { mistake: `expected one of ${MARK_KINDS.join(', ')}` }
  }
  const [kind, name] = one
  if (effect === 'credentials' && !CREDENTIAL_KINDS.has(kind)) {
    return { mistake: `effect: expected grants, since a ${kind} has no credentials` }
  }
  const draft = { kind, target: name, effect, reason, by }
  if (expires === undefined) return draft
  const expiresAtMs = Date.parse(expires)
  if (expiresAtMs < nowMs + MIN_MARK_LIFE_MS)
    return { mistake: 'expires: expected a time 24 h from now, or later' }
  return { ...draft, expiresAtMs }
}

const tell = ({ path, message }: z.core.$ZodIssue): string =>
  path.length === 0 ? message : `${path.join('.')}: ${message}`

/** A mark as the admin port shows it: what it is about under the name of its kind, as it was asked for. */
export const markJson = ({ id, kind, target: name, effect, reason, by, issuedAtMs, expiresAtMs }: Mark) => ({
  id,
  [kind]: kind === 'all' ? true : name,
  effect,
  reason,
  by,
  issued: new Date(issuedAtMs).toISOString(),
  expires: new Date(expiresAtMs).toISOString(),
})

/** What a failure is told as. @param certain what is so when nothing can have been written. */
export const whyNot = (certain: string, { failed, isUnsure }: NotPublished): string =>
  isUnsure === true
    ? `Redis did not say whether this was written, so that it may be in force or come into force: ${failed}; ask again`
    : `${certain}: ${failed}`
