import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Clock } from '../../core/clock.ts'
import type { Identity } from '../../core/identity.ts'
import { isRefusal, type Refusal, refuse } from '../../core/refusals.ts'
import type { CanonicalRequest } from '../../core/request.ts'
import type { Route } from '../../core/route.ts'
import type { Authenticator, Keep, Presented, Verification } from './authenticator.ts'
import { carrierLabel, carrierReader, hasAuthorization, REPEATED, type ReadCarrier } from './carriers.ts'
import { challengeFor } from './challenge.ts'
import { keptForOthers, type PrefixOwner } from './kept-prefixes.ts'
import { crossOriginUpgrade } from './same-origin.ts'

export interface AuthenticateOptions {
  readonly authenticators: ReadonlyMap<string, Authenticator>
  readonly clock: Clock
  /** How many verified credentials are kept, default 10,000. */
  readonly cacheEntries?: number
}

export type Authenticate = (
  request: CanonicalRequest,
  route: Route,
) => Identity | Refusal | Promise<Identity | Refusal>

/** One authenticator of a route's list. */
interface Door {
  readonly authenticator: Authenticator
  /** Tells its entries in the cache from those of the others. */
  readonly cacheKey: string
  readonly keptForOthers: readonly PrefixOwner[]
}

/** The authenticators of a route's list that share a carrier. */
interface Gate {
  readonly label: string
  readonly read: ReadCarrier
  /** Browsers send it by themselves, whatever page asks them to. */
  readonly isCookie: boolean
  readonly doors: readonly Door[]
}

/** What a route's list comes down to; made once a route. */
interface Plan {
  /** In the order of the list. */
  readonly gates: readonly Gate[]
  /** Decides when nothing was presented. */
  readonly anonymous: Door | null
  readonly readsAuthorization: boolean
  readonly listed: readonly Authenticator[]
}

interface Kept {
  readonly identity: Identity
  readonly keep: Keep
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
 * the authenticator and the SHA-256 of the credential. A hit is synchronous.
 *
 * Errors: `bad_request` for a carrier that came twice, `unauthenticated` with its challenge, `denied`
 * when the claims make no acceptable subject or a page of another origin opens a WebSocket by a cookie,
 * `authenticator_unavailable`.
 */
export const createAuthenticate = (options: AuthenticateOptions): Authenticate => {
  const { authenticators, clock } = options
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
  return (request, route) => {
    let plan = plans.get(route)
    if (plan === undefined) {
      plan = planOf(route, doors)
      plans.set(route, plan)
    }
    return authenticate(request, plan, cache, clock.nowMs())
  }
}

const planOf = ({ name, authenticate: list }: Route, doors: ReadonlyMap<string, Door>): Plan => {
  const listed = list.map((each) => {
    const door = doors.get(each)
    if (door === undefined)
      throw new Error(`route ${name} names the authenticator ${each}, which does not exist`)
    return door
  })
  const byLabel = new Map<string, Door[]>()
  for (const door of listed) {
    const { carrier } = door.authenticator
    if (carrier.kind === 'none') continue
    const label = carrierLabel(carrier)
    byLabel.set(label, [...(byLabel.get(label) ?? []), door])
  }
  const gates = [...byLabel].flatMap(([label, sharing]) => {
    const [first] = sharing
    if (first === undefined) return []
    const { carrier } = first.authenticator
    return [{ label, read: carrierReader(carrier), isCookie: carrier.kind === 'cookie', doors: sharing }]
  })
  return {
    gates,
    anonymous: listed.find(({ authenticator }) => authenticator.carrier.kind === 'none') ?? null,
    readsAuthorization: listed.some(({ authenticator }) => authenticator.carrier.kind === 'authorization'),
    listed: listed.map(({ authenticator }) => authenticator),
  }
}

const authenticate = (
  request: CanonicalRequest,
  plan: Plan,
  cache: Cache,
  nowMs: number,
): Identity | Refusal | Promise<Identity | Refusal> => {
  let gate: Gate | null = null
  let value = ''
  for (const each of plan.gates) {
    const found = each.read(request)
    if (found === REPEATED) return refuse('authenticate', 'bad_request', `${each.label} came more than once`)
    if (found === null || gate !== null) continue
    gate = each
    value = found
  }
  if (gate === null) return withoutCredential(request, plan, nowMs)
  const trespass = gate.isCookie ? crossOriginUpgrade(request) : null
  if (trespass !== null) return trespass
  const presented = { value, digest: hash('sha256', value, 'hex') }
  return kept(gate, presented, cache, nowMs) ?? decideBy(gate, presented, plan, cache, nowMs)
}

const kept = (gate: Gate, { digest }: Presented, cache: Cache, nowMs: number): Identity | null => {
  for (const { cacheKey } of gate.doors) {
    const entry = cache.get(cacheKey + digest)
    if (entry === undefined) continue
    if (nowMs < entry.keep.untilMs && entry.keep.vouched(nowMs)) return entry.identity
    cache.delete(cacheKey + digest)
  }
  return null
}

const decideBy = (
  gate: Gate,
  presented: Presented,
  plan: Plan,
  cache: Cache,
  nowMs: number,
): Identity | Refusal | Promise<Identity | Refusal> => {
  const door = doorFor(gate, presented)
  if (typeof door === 'string') {
    const refusal = refuse('authenticate', 'unauthenticated', door)
    return challengeFor(refusal, plan.listed, 'bad')
  }
  const settle = (verification: Verification): Identity | Refusal => {
    if (isRefusal(verification)) return challengeFor(verification, plan.listed, 'bad')
    const { identity, keep } = verification
    const trespass = trespassOf(identity, door)
    if (trespass !== null) return trespass
    if (keep !== null) {
      cache.set(door.cacheKey + presented.digest, { identity, keep }, { size: presented.value.length + 1 })
    }
    return identity
  }
  const verification = door.authenticator.authenticate(presented, nowMs)
  return verification instanceof Promise ? verification.then(settle) : settle(verification)
}

/** The door that takes the credential, or why none does. A lone one need not be asked: it will say no better. */
const doorFor = (gate: Gate, presented: Presented): Door | string => {
  const [first] = gate.doors
  if (first !== undefined && gate.doors.length === 1) return first
  const reasons: string[] = []
  for (const door of gate.doors) {
    const reason = door.authenticator.declines(presented)
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
  nowMs: number,
): Identity | Refusal | Promise<Identity | Refusal> => {
  const otherScheme = plan.readsAuthorization && hasAuthorization(request)
  if (plan.anonymous === null || otherScheme) {
    const detail = otherScheme ? 'Authorization has a scheme that the route does not take' : 'no credential'
    return challengeFor(refuse('authenticate', 'unauthenticated', detail), plan.listed, 'none')
  }
  const settle = (verification: Verification): Identity | Refusal =>
    isRefusal(verification) ? verification : verification.identity
  const verification = plan.anonymous.authenticator.authenticate(NOTHING, nowMs)
  return verification instanceof Promise ? verification.then(settle) : settle(verification)
}
