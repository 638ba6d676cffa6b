import { type Refusal, refuse } from '../../../core/refusals.ts'
import type { SharedWait } from '../../../core/shared-wait.ts'
import { MOST_SESSION_CHARACTERS } from '../session-cookies.ts'
import type { Sealer } from './sealing.ts'
import { parseSession, type Session, sessionJson } from './session.ts'

/** Where sessions are kept while nobody asks. `wait` is that of the request that asks; left out: of none. */
export interface SessionStore {
  /**
   * Keeps a session.
   *
   * @param before what the browser has of it now; null for a new one.
   * @returns what the browser is to have of it.
   */
  readonly save: (session: Session, before: string | null, wait?: SharedWait) => Promise<string | Refusal>
  /** @param value what the browser has of it. @returns null when it is no session. */
  readonly load: (value: string, wait?: SharedWait) => Promise<Session | null | Refusal>
  /** Forgets it, where anything is kept besides what the browser has. */
  readonly remove: (value: string, wait?: SharedWait) => Promise<void>
  /**
   * Forgets all sessions of one login at the provider, or of one person, that had begun by then. Never rejects.
   *
   * Does not tell whether all were found: they must have been refused before.
   *
   * @param atMs milliseconds since the epoch.
   */
  readonly removeAll: (part: 'sid' | 'sub', value: string, atMs: number, wait?: SharedWait) => Promise<void>
}

/** Keeps sessions in the browser itself, sealed. */
export const cookieStore = (authenticator: string, sealer: Sealer): SessionStore => ({
  save: async (session) => {
    const sealed = await sealer.seal(sessionJson(session))
    if (sealed.length <= MOST_SESSION_CHARACTERS) return sealed
    const detail = `${authenticator}: a session of ${sealed.length} characters does not fit into cookies of ${MOST_SESSION_CHARACTERS}`
    return refuse('authenticate', 'authenticator_unavailable', detail, {
      publicDetail: 'The identity provider says more of you than a browser can keep.',
    })
  },
  load: async (value) => {
    if (value.length > MOST_SESSION_CHARACTERS) return null
    const json = await sealer.open(value)
    return json === null ? null : parseSession(json)
  },
  remove: () => Promise.resolve(),
  removeAll: () => Promise.resolve(),
})
