import type { Subject } from '../core/access-request.ts'
import type { Clock } from '../core/clock.ts'
import type { JsonObject } from '../core/json.ts'
import { isRefusal, refuse } from '../core/refusals.ts'
import type { Authenticator } from '../gateway/authenticate/authenticator.ts'
import { unmet } from '../gateway/authenticate/requirement.ts'
import type { Identify } from '../gateway/explain.ts'

/** Who a request is taken to be without a credential. */
export interface Assumed {
  readonly claims: JsonObject
  /** Who it is, whatever the claims would make of that. */
  readonly subject?: Subject | undefined
  /** The one authenticator that takes the claims. */
  readonly authenticator?: string | undefined
}

/** Stands in for the authenticators: claims, or a subject, are taken as verified. */
export const identifyAs =
  (authenticators: ReadonlyMap<string, Authenticator>, assumed: Assumed, clock: Clock): Identify =>
  (_request, { authenticate, require }) => {
    const { claims, subject, authenticator } = assumed
    for (const name of authenticate) {
      if (authenticator !== undefined && name !== authenticator) continue
      const credential = { type: 'assumed', authenticator: name, id: 'assumed', digest: 'assumed' }
      const identity =
        subject === undefined
          ? authenticators.get(name)?.fromClaims?.(claims)
          : { subject, credential, claims }
      if (identity === undefined) continue
      if (isRefusal(identity) || require === undefined) return identity
      return unmet(identity, require, clock.nowMs()) ?? identity
    }
    return refuse('authenticate', 'unauthenticated', 'no authenticator of the route maps claims')
  }
