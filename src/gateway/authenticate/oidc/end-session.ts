import type { Ending } from '../../../core/ending.ts'
import { headerValues } from '../../../core/headers.ts'
import { isRefusal, type Refusal } from '../../../core/refusals.ts'
import type { OwnRequest } from '../authenticator.ts'
import { readSessionCookie } from '../session-cookies.ts'
import type { OidcParts } from './parts.ts'
import { endOfLifeMs, type Session } from './session.ts'

/** What a browser came with, which is good for nothing from here on. */
export interface EndedSession {
  /** Null when there was none. */
  readonly session: Session | null
  /** Why nobody can tell whether there was one, so that it may go on. */
  readonly unknown?: Refusal
  /** The `Cookie` field that it came in. */
  readonly header: string
  readonly endings: readonly Ending[]
  /** See `OwnAnswered`. */
  readonly forget?: () => Promise<void>
}

/** Ends the session that a browser came with, if it has one. The login at the provider may go on, and begin another. */
export const endSession = async (
  { cookie, store, ended, limits }: OidcParts,
  { request, nowMs, wait }: OwnRequest,
  reason: string,
): Promise<EndedSession> => {
  const header = headerValues(request.headers, 'cookie').join('; ')
  const value = readSessionCookie(header, cookie, request)
  const session = value === null ? null : await store.load(value, wait)
  if (value === null || session === null) return { session: null, header, endings: [] }
  if (isRefusal(session)) return { session: null, unknown: session, header, endings: [] }
  ended.add('id', session.id, nowMs)
  const untilMs = endOfLifeMs(session, limits)
  const endings: readonly Ending[] = [{ kind: 'credential', target: session.id, reason, untilMs }]
  return { session, header, endings, forget: () => store.remove(value, wait) }
}
