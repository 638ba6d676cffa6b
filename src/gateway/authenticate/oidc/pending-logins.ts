import { hash, randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { randomNonce, randomPKCECodeVerifier, randomState } from 'openid-client'
import type { JsonObject } from '../../../core/json.ts'
import type { CanonicalRequest } from '../../../core/request.ts'
import { NOTHING_SHARED, type SharedUses } from '../../../core/shared-uses.ts'
import type { SharedWait } from '../../../core/shared-wait.ts'
import { originOfRequest } from '../same-origin.ts'
import { cookieName, readCookies, setCookie } from '../session-cookies.ts'
import type { LoginSecrets } from './provider.ts'
import type { Sealer } from './sealing.ts'

/** A sign-in that has begun in this browser. */
export interface PendingLogin extends LoginSecrets {
  readonly returnTo: string
  /** See `Credential.askedFor`; empty: an ordinary one. */
  readonly askedFor: string
  /** Where it began; it ends there, too. */
  readonly origin: string
  /** Seconds since the epoch. */
  readonly startedAt: number
}

export interface PendingLogins {
  /** Begins one; the cookies tie it to this browser. */
  readonly begin: (
    request: CanonicalRequest,
    wanted: Pick<PendingLogin, 'returnTo' | 'askedFor'>,
    nowMs: number,
  ) => Promise<{ readonly login: PendingLogin; readonly setCookies: readonly string[] }>
  /**
   * The sign-in that a state belongs to, which is over from here on.
   *
   * @returns a string that says why there is none.
   */
  readonly take: (
    request: CanonicalRequest,
    state: string,
    nowMs: number,
    wait: SharedWait,
  ) => Promise<PendingLogin | string>
  /** Takes the cookie of a sign-in away. */
  readonly forget: (request: CanonicalRequest, state: string) => readonly string[]
}

const LIFETIME_MS = 10 * 60_000
/** Of one browser; the oldest makes room. */
const MOST_AT_ONCE = 5
const MOST_USED = 100_000

/**
 * Makes the keeper of sign-ins under way: each in a sealed cookie of its own, so that tabs do not disturb each other.
 *
 * Each can be ended once: what was used is remembered by this process, and by all gateways where they share a memory.
 * One that cannot be reached stops nobody, as a code is good once at any provider.
 */
export const createPendingLogins = (
  name: string,
  cookie: string,
  sealer: Sealer,
  shared: SharedUses = NOTHING_SHARED,
): PendingLogins => {
  const used = new LRUCache<string, true>({ max: MOST_USED })
  const prefixOf = (request: CanonicalRequest): string => `${cookieName(cookie, request) ?? ''}.login-`
  return {
    begin: async (request, { returnTo, askedFor }, nowMs) => {
      // The first characters are a time, so that names are in the order of their age.
      const id = `${Math.floor(nowMs / 1000)
        .toString(36)
        .padStart(8, '0')}${randomBytes(6).toString('hex')}`
      const login = {
        state: `${name}.${id}.${randomState()}`,
        nonce: randomNonce(),
        verifier: randomPKCECodeVerifier(),
        returnTo,
        askedFor,
        origin: originOfRequest(request),
        startedAt: Math.floor(nowMs / 1000),
      }
      const sealed = await sealer.seal(login)
      const prefix = prefixOf(request)
      const surplus = [...new Set(cookiesOf(request, prefix).map(([each]) => each))]
        .sort()
        .slice(0, -(MOST_AT_ONCE - 1))
      return {
        login,
        setCookies: [
          ...surplus.map((each) => setCookie(each, '', 0)),
          setCookie(`${prefix}${id}`, sealed, LIFETIME_MS / 1000),
        ],
      }
    },
    take: async (request, state, nowMs, wait) => {
      const id = idOf(state)
      const found = cookiesOf(request, prefixOf(request)).filter(([each]) => each.endsWith(`.login-${id}`))
      const [first, second] = found
      if (first === undefined || second !== undefined || id === '')
        return 'no sign-in was begun in this browser'
      const json = await sealer.open(first[1])
      const login = json === null ? null : parseLogin(json)
      if (login === null) return 'the cookie of the sign-in is not one of ours'
      if (login.state !== state) return 'the state is not that of the sign-in'
      if (login.origin !== originOfRequest(request)) return 'the sign-in was begun at another origin'
      if (Math.abs(nowMs - login.startedAt * 1000) > LIFETIME_MS) return 'the sign-in took too long'
      if (used.has(state)) return 'the sign-in is over already'
      used.set(state, true)
      const known = await shared.use('login', hash('sha256', state, 'base64url'), LIFETIME_MS, wait)
      return known === 'used' ? 'the sign-in is over already' : login
    },
    forget: (request, state) => {
      const cookieOfIt = `${prefixOf(request)}${idOf(state)}`
      return cookiesOf(request, prefixOf(request)).some(([each]) => each === cookieOfIt)
        ? [setCookie(cookieOfIt, '', 0)]
        : []
    },
  }
}

const STATE = /\.([0-9a-z]{20})\.[A-Za-z0-9_-]+$/

const idOf = (state: string): string => STATE.exec(state)?.[1] ?? ''

const cookiesOf = ({ names, headers }: CanonicalRequest, prefix: string) =>
  names.flatMap((each, index) =>
    each === 'cookie' ? readCookies(headers[2 * index + 1] ?? '').filter(([c]) => c.startsWith(prefix)) : [],
  )

const parseLogin = (json: JsonObject): PendingLogin | null => {
  const { state, nonce, verifier, returnTo, askedFor = '', origin, startedAt } = json
  if (typeof state !== 'string' || typeof nonce !== 'string' || typeof verifier !== 'string') return null
  if (typeof returnTo !== 'string' || typeof origin !== 'string' || typeof startedAt !== 'number') return null
  if (typeof askedFor !== 'string') return null
  return { state, nonce, verifier, returnTo, askedFor, origin, startedAt }
}
