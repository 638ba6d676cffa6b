import type { Credential } from '../../core/identity.ts'
import type { Requirement } from '../../core/requirement.ts'

/** What the provider is asked for at a sign-in, besides who it is. */
export interface SignInWish {
  /** A login that goes on at the provider is not enough. */
  readonly anew: boolean
  /** Any of these, the first one rather than the others; empty: whatever the provider does. */
  readonly acr: readonly string[]
  /** How long ago the login may be; null: any time. */
  readonly maxAgeSeconds: number | null
}

export const NO_WISH: SignInWish = { anew: false, acr: [], maxAgeSeconds: null }
export const ANEW: SignInWish = { anew: true, acr: [], maxAgeSeconds: null }

/** What a route requires of a login; its scopes and claims cannot be asked for. */
export const wishOf = ({ acr, maxAgeMs }: Pick<Requirement, 'acr' | 'maxAgeMs'>): SignInWish => ({
  anew: false,
  acr,
  maxAgeSeconds: maxAgeMs === null ? null : Math.floor(maxAgeMs / 1000),
})

/** The same wish as parameters, by the names that OpenID Connect has for them; also what one is compared by. */
export const wishParameters = ({
  anew,
  acr,
  maxAgeSeconds,
}: SignInWish): Readonly<Record<string, string>> => ({
  ...(anew ? { prompt: 'login' } : {}),
  ...(acr.length === 0 ? {} : { acr_values: acr.join(' ') }),
  ...(maxAgeSeconds === null ? {} : { max_age: String(maxAgeSeconds) }),
})

export const wishText = (wish: SignInWish): string => new URLSearchParams(wishParameters(wish)).toString()

const ACR_VALUES = /^[\x20-\x21\x23-\x5b\x5d-\x7e]{1,500}$/
const SECONDS = /^\d{1,9}$/

/** What a query wishes for; null when it makes no sense. */
export const readWish = (query: URLSearchParams): SignInWish | null => {
  const acr = query.get('acr_values')
  const maxAge = query.get('max_age')
  if (acr !== null && !ACR_VALUES.test(acr)) return null
  if (maxAge !== null && !SECONDS.test(maxAge)) return null
  return {
    anew: query.get('prompt') === 'login',
    acr: acr?.split(' ').filter((each) => each !== '') ?? [],
    maxAgeSeconds: maxAge === null ? null : Number(maxAge),
  }
}

const MOST_REST_SECONDS = 30
const LEAST_REST_SECONDS = 5

/**
 * True when a login was begun by this very wish and is so young that the next one would come out no better: a
 * provider that does not do what it is asked would send the browser round in circles.
 */
export const wasJustWished = (
  { askedFor, issuedAt = 0 }: Credential,
  wish: SignInWish,
  nowMs: number,
): boolean => {
  const restSeconds = Math.max(
    LEAST_REST_SECONDS,
    Math.min(MOST_REST_SECONDS, wish.maxAgeSeconds ?? MOST_REST_SECONDS),
  )
  return askedFor === wishText(wish) && nowMs / 1000 - issuedAt <= restSeconds
}
