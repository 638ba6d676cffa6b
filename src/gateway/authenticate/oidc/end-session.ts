import { headerValues } from '../../../core/headers.ts'
import type { CanonicalRequest } from '../../../core/request.ts'
import { readSessionCookie } from '../session-cookies.ts'
import type { OidcParts } from './parts.ts'
import { endOfLifeMs, type Session } from './session.ts'
import { isSession } from './session-store.ts'

/**
 * Ends the session that a browser came with, if it has one: its cookies are good for nothing from here on.
 *
 * @returns the session, and the `Cookie` field that it came in.
 */
export const endSession = async (
  { cookie, store, ended, limits }: OidcParts,
  request: CanonicalRequest,
): Promise<{ readonly session: Session | null; readonly header: string }> => {
  const header = headerValues(request.headers, 'cookie').join('; ')
  const value = readSessionCookie(header, cookie, request)
  if (value === null) return { session: null, header }
  const session = await store.load(value)
  if (!isSession(session)) return { session: null, header }
  ended.add(session.id, endOfLifeMs(session, limits))
  return { session, header }
}
