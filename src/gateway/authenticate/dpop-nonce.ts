import { createHmac, timingSafeEqual } from 'node:crypto'

/** Nonces that a proof must hold, so that it cannot have been made long ago. */
export interface NonceIssuer {
  readonly current: (nowMs: number) => string
  /** True for the current one and the one before it. */
  readonly accepts: (nonce: string, nowMs: number) => boolean
}

/** How long one nonce is the current one. */
const PERIOD_MS = 60_000

/**
 * Makes nonces that need no memory: a keyed hash of the minute.
 *
 * @param secret shared by all replicas, or a proof for one is refused by the next.
 * @see https://www.rfc-editor.org/rfc/rfc9449#section-8
 */
export const createNonceIssuer = (secret: string | Buffer): NonceIssuer => {
  const made = new Map<number, string>()
  const nonceOf = (period: number): string => {
    const known = made.get(period)
    if (known !== undefined) return known
    const nonce = createHmac('sha256', secret).update(`dpop nonce ${period}`).digest('base64url')
    if (made.size > 2) made.clear()
    made.set(period, nonce)
    return nonce
  }
  const equal = (left: string, right: string): boolean =>
    left.length === right.length && timingSafeEqual(Buffer.from(left), Buffer.from(right))
  return {
    current: (nowMs) => nonceOf(Math.floor(nowMs / PERIOD_MS)),
    accepts: (nonce, nowMs) => {
      if (!/^[A-Za-z0-9_-]{43}$/.test(nonce)) return false
      const period = Math.floor(nowMs / PERIOD_MS)
      return equal(nonce, nonceOf(period)) || equal(nonce, nonceOf(period - 1))
    },
  }
}
