import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../../core/clock.ts'
import type { Identity } from '../../core/identity.ts'
import { isRefusal, type Refusal, refuse } from '../../core/refusals.ts'
import type { CanonicalRequest } from '../../core/request.ts'
import type { Route } from '../../core/route.ts'
import type { Authenticator, Circumstances, Keep, Presented, Prove, Verification } from './authenticator.ts'
import { hasAuthorization, REPEATED } from './carriers.ts'
import { askForCredential, challengeFor } from './challenge.ts'
import { keptForOthers } from './kept-prefixes.ts'
import { unmet } from './requirement.ts'
import { type Door, type Gate, type Plan, planOf } from './route-doors.ts'
import { crossOrigin } from './same-origin.ts'
import { ANEW, type SignInWish, wasJustWished } from './sign-in-wish.ts'

export interface AuthenticateOptions {
  readonly authenticators: ReadonlyMap<string, Authenticator>
  readonly clock: Clock
  /** Why a caller that was verified is refused all the same; null: he is not. Default: none is. */
  readonly revoked?: (identity: Identity) => string | null
  /** How many verified credentials are kept, default 10,000. */
  readonly cacheEntries?: number
}

export type Authenticate = (
  request: CanonicalRequest,
  route: Route,
  signal?: () => AbortSignal,
) => Later<Identity | Refusal>

type Later<T> = T | Promise<T>

interface Kept {
  readonly identity: Identity
  readonly keep: Keep
  readonly prove: Prove | null
}

type Cache = LRUCache<string, Kept>

const CACHE_ENTRIES = 10_000
const CACHE_CHARACTERS = 32 * 1024 * 1024
const NOTHING: Presented = { value: '', digest: hash('sha256', '', 'hex') }

/**
 * Makes the stage that turns a credential into an identity.
 *
 * The first carrier of the route's list on which something was presented decides, by the one
 * authenticator that takes it; a bad credential is refused, never tried on the next. Verified credentials
 * are kept until they expire or their key goes; the cache belongs to one configuration, and its keys are
 * the authenticator and the SHA-256 of the credential. A hit is synchronous, unless something has to be
 * proved with each request. Whether a credential was revoked is asked each time.
 *
 * Errors: `bad_request` for a carrier that came twice, `unauthenticated` with its challenge, `denied`
 * when the claims make no acceptable subject, the route requires more than they show, or a page of another
 * origin opens a WebSocket by a cookie or changes something by a session,
 * `authenticator_unavailable`.
 */
export const createAuthenticate = (options: AuthenticateOptions): Authenticate => {
  const { authenticators, clock, revoked } = options
  const cache: Cache = new LRUCache({
    max: options.cacheEntries ?? CACHE_ENTRIES,
    maxSize: CACHE_CHARACTERS,
  })
  const doors = new Map(
    [...authenticators.values()].map((authenticator, index) => [
      authenticator.name,
      { authenticator, cacheKey: `${index}:`, keptForOthers: keptForOthers(authenticator, authenticators) },
    ]),
  )
  const plans = new WeakMap<Route, Plan>()
  return (request, route, signal = () => new AbortController().signal) => {
    let plan = plans.get(route)
    if (plan === undefined) {
      plan = planOf(route, doors)
      plans.set(route, plan)
    }
    const nowMs = clock.nowMs()
    const identity = authenticate(request, plan, cache, nowMs, signal)
    const { require: requirement } = route
    if (requirement === undefined && revoked === undefined) return identity
    const { listed, wish } = plan
    const settle = (known: Identity | Refusal): Identity | Refusal => {
      if (isRefusal(known)) return known
      const reason = revoked?.(known) ?? null
      if (reason !== null) return revokedRefusal(reason, known, request, listed, nowMs)
      const missing = requirement === undefined ? null : unmet(known, requirement, nowMs)
      return missing === null ? known : signInAgain(missing, known, wish, request, listed, nowMs)
    }
    return identity instanceof Promise ? identity.then(settle) : settle(identity)
  }
}

/** Whoever has signed in at a page can do so again, if the provider makes him show once more who he is. */
const revokedRefusal = (
  reason: string,
  known: Identity,
  request: CanonicalRequest,
  listed: readonly Authenticator[],
  nowMs: number,
): Refusal => {
  const refusal = refuse('authenticate', 'unauthenticated', reason)
  return challengeFor(signInAgain(refusal, known, ANEW, request, listed, nowMs), listed, 'bad')
}

/** Sends a page to another sign-in where that may help; what is wanted is not asked for twice in a row. */
const signInAgain = (
  refusal: Refusal,
  { credential }: Identity,
  wish: SignInWish,
  request: CanonicalRequest,
  listed: readonly Authenticator[],
  nowMs: number,
): Refusal => {
  if (refusal.refusal !== 'unauthenticated' || wasJustWished(credential, wish, nowMs)) return refusal
  const door = listed.find(({ name }) => name === credential.authenticator)
  const elsewhere = door?.signIn?.(request, wish) ?? null
  return elsewhere === null ? refusal : { ...refusal, elsewhere }
}

const authenticate = (
  request: CanonicalRequest,
  plan: Plan,
  cache: Cache,
  nowMs: number,
  signal: () => AbortSignal,
): Later<Identity | Refusal> => {
  let gate: Gate | null = null
  let value = ''
  let dpop = false
  for (const each of plan.gates) {
    const found = each.read(request)
    if (found === REPEATED) return refuse('authenticate', 'bad_request', `${each.label} came more than once`)
    if (found === null || gate !== null) continue
    gate = each
    dpop = typeof found !== 'string'
    value = typeof found === 'string' ? found : found.dpop
  }
  if (gate === null) return withoutCredential(request, plan, { nowMs, request, signal })
  const isFromPage = gate.isAmbient && (!gate.isCertificate || request.names.includes('origin'))
  const trespass = isFromPage ? crossOrigin(request, gate.isSession) : null
  if (trespass !== null) return trespass
  const presented = { value, digest: hash('sha256', value, 'hex'), dpop }
  const known = kept(gate, presented, cache, nowMs)
  if (known === null) return decideBy(gate, presented, plan, cache, { nowMs, request, signal })
  // Nothing more is made for what is known by its value alone: that is nearly every request.
  if (known.prove === null && !dpop) return known.identity
  return proven(known.identity, known.prove, presented, plan, { nowMs, request, signal })
}

const kept = (gate: Gate, { digest }: Presented, cache: Cache, nowMs: number): Kept | null => {
  for (const { cacheKey } of gate.doors) {
    const entry = cache.get(cacheKey + digest)
    if (entry === undefined) continue
    if (nowMs < entry.keep.untilMs && entry.keep.vouched(nowMs)) return entry
    cache.delete(cacheKey + digest)
  }
  return null
}

const decideBy = (
  gate: Gate,
  presented: Presented,
  plan: Plan,
  cache: Cache,
  circumstances: Circumstances,
): Later<Identity | Refusal> => {
  const door = doorFor(gate, presented, circumstances.request)
  if (typeof door === 'string') {
    const refusal = refuse('authenticate', 'unauthenticated', door)
    return challengeFor(refusal, plan.listed, 'bad')
  }
  const settle = (verification: Verification): Later<Identity | Refusal> => {
    if (isRefusal(verification)) return challengeFor(verification, plan.listed, 'bad')
    const { identity, keep, prove = null, setCookies } = verification
    const trespass = trespassOf(identity, door)
    if (trespass !== null) return trespass
    if (keep !== null) {
      const size = presented.value.length + 1
      cache.set(door.cacheKey + presented.digest, { identity, keep, prove }, { size })
    }
    const current = setCookies === undefined ? identity : { ...identity, setCookies }
    return proven(current, prove, presented, plan, circumstances)
  }
  const verification = door.authenticator.authenticate(presented, circumstances)
  return verification instanceof Promise ? verification.then(settle) : settle(verification)
}

/** The identity, once this very request has shown what its credential asks for. */
const proven = (
  identity: Identity,
  prove: Prove | null,
  presented: Presented,
  plan: Plan,
  circumstances: Circumstances,
): Later<Identity | Refusal> => {
  if (prove === null) {
    if (presented.dpop !== true) return identity
    const refusal = refuse(
      'authenticate',
      'unauthenticated',
      'the scheme is DPoP, and the token is not bound',
    )
    return challengeFor(refusal, plan.listed, 'bad')
  }
  const settle = (refusal: Refusal | null): Identity | Refusal =>
    refusal === null ? identity : challengeFor(refusal, plan.listed, 'bad')
  const proof = prove(presented, circumstances)
  return proof instanceof Promise ? proof.then(settle) : settle(proof)
}

/** The door that takes the credential, or why none does. A lone one need not be asked: it will say no better. */
const doorFor = (gate: Gate, presented: Presented, request: CanonicalRequest): Door | string => {
  const [first] = gate.doors
  if (first !== undefined && gate.doors.length === 1) return first
  const reasons: string[] = []
  for (const door of gate.doors) {
    const reason = door.authenticator.declines(presented, request)
    if (reason === null) return door
    reasons.push(`${door.authenticator.name}: ${reason}`)
  }
  return `no authenticator of the route takes what came by ${gate.label}: ${reasons.join('; ')}`
}

const trespassOf = ({ subject }: Identity, door: Door): Refusal | null => {
  for (const { type, prefix, owner } of door.keptForOthers) {
    if ((type !== null && type !== subject.type) || !subject.id.startsWith(prefix)) continue
    const detail = `${door.authenticator.name}: the subject's id starts with what is kept for ${owner}`
    return refuse('authenticate', 'denied', detail)
  }
  return null
}

const withoutCredential = (
  request: CanonicalRequest,
  plan: Plan,
  circumstances: Circumstances,
): Later<Identity | Refusal> => {
  const otherScheme = plan.readsAuthorization && hasAuthorization(request)
  if (plan.anonymous === null || otherScheme) {
    const detail = otherScheme ? 'Authorization has a scheme that the route does not take' : 'no credential'
    const refusal = refuse('authenticate', 'unauthenticated', detail)
    return otherScheme
      ? challengeFor(refusal, plan.listed, 'none')
      : askForCredential(refusal, circumstances.request, plan.listed, plan.wish)
  }
  const settle = (verification: Verification): Identity | Refusal =>
    isRefusal(verification) ? verification : verification.identity
  const verification = plan.anonymous.authenticator.authenticate(NOTHING, circumstances)
  return verification instanceof Promise ? verification.then(settle) : settle(verification)
}
