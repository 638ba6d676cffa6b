import type { Clock } from '../../../core/clock.ts'
import type { Log } from '../../../core/log.ts'
import type { Refusal } from '../../../core/refusals.ts'
import type { ToSubject } from '../subject.ts'
import type { EndedSessions } from './ended-sessions.ts'
import type { LogoutToken } from './logout-token.ts'
import type { PendingLogins } from './pending-logins.ts'
import type { OidcProvider } from './provider.ts'
import type { Renewal } from './renewal.ts'
import type { SessionLimits } from './session.ts'
import type { SessionStore } from './session-store.ts'

/** Where the endpoints of browser logins are. */
export const LOGIN_PATH = '/.sallyport/login'
export const CALLBACK_PATH = '/.sallyport/callback'
export const LOGOUT_PATH = '/.sallyport/logout'
export const BACKCHANNEL_LOGOUT_PATH = '/.sallyport/backchannel-logout'

/** What the parts of one `oidc` authenticator share. */
export interface OidcParts {
  readonly name: string
  /** The name of its cookies, without what all of ours have in common. */
  readonly cookie: string
  readonly issuer: string
  readonly clientId: string
  readonly afterLogout: string | null
  readonly refreshBeforeMs: number
  readonly limits: SessionLimits
  readonly toSubject: ToSubject
  readonly provider: OidcProvider
  readonly store: SessionStore
  readonly logins: PendingLogins
  readonly renewal: Renewal
  readonly ended: EndedSessions
  readonly checkLogoutToken: (compact: string) => Promise<LogoutToken | Refusal>
  readonly clock: Clock
  readonly log: Log
}
