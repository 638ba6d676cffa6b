import { LRUCache } from 'lru-cache'
import type { Clock } from '../../core/clock.ts'
import type { IssuedToken, NoToken } from './token-endpoint.ts'

/** Keeps tokens until shortly before they end, and has each renewed by one request. */
export interface TokenKeeper {
  readonly get: (
    key: string,
    ask: () => Promise<IssuedToken | NoToken>,
  ) => IssuedToken | NoToken | Promise<IssuedToken | NoToken>
}

const MOST_KEPT = 10_000
/** The share of its life at which a token is renewed, and the least time before its end. */
const RENEW_AT = 0.8
const LEAST_LEFT_MS = 5000
/** For how long nobody asks again for what was not to be had. */
const REST_MS = 1000

interface Kept {
  readonly token: IssuedToken
  readonly renewAtMs: number
}

/** While it is renewed, and when that fails, a token is used until `LEAST_LEFT_MS` before its end. */
export const createTokenKeeper = (clock: Clock): TokenKeeper => {
  const kept = new LRUCache<string, Kept>({ max: MOST_KEPT })
  const failed = new LRUCache<string, { readonly why: NoToken; readonly untilMs: number }>({ max: MOST_KEPT })
  const underWay = new Map<string, Promise<IssuedToken | NoToken>>()

  const renew = (key: string, ask: () => Promise<IssuedToken | NoToken>): Promise<IssuedToken | NoToken> => {
    const waiting = underWay.get(key)
    if (waiting !== undefined) return waiting
    const askedAtMs = clock.nowMs()
    const renewal = ask()
      .then((answer) => {
        if ('failure' in answer) {
          failed.set(key, { why: answer, untilMs: clock.nowMs() + REST_MS })
          return answer
        }
        const life = answer.expiresAtMs - askedAtMs
        kept.set(key, { token: answer, renewAtMs: askedAtMs + life * RENEW_AT })
        return answer
      })
      .finally(() => underWay.delete(key))
    underWay.set(key, renewal)
    return renewal
  }

  return {
    get: (key, ask) => {
      const nowMs = clock.nowMs()
      const known = kept.get(key)
      const failure = failed.get(key)
      const resting = failure !== undefined && nowMs < failure.untilMs
      if (known !== undefined && nowMs < known.token.expiresAtMs - LEAST_LEFT_MS) {
        // Nobody waits for what comes in time.
        if (nowMs >= known.renewAtMs && !resting) renew(key, ask).catch(() => undefined)
        return known.token
      }
      return resting ? failure.why : renew(key, ask)
    },
  }
}
