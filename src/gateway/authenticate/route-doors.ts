import type { Route } from '../../core/route.ts'
import type { Authenticator } from './authenticator.ts'
import { carrierLabel, carrierReader, type ReadCarrier } from './carriers.ts'
import type { PrefixOwner } from './kept-prefixes.ts'
import { NO_WISH, type SignInWish, wishOf } from './sign-in-wish.ts'

/** One authenticator of a route's list. */
export interface Door {
  readonly authenticator: Authenticator
  /** Tells its entries in the cache from those of the others. */
  readonly cacheKey: string
  readonly keptForOthers: readonly PrefixOwner[]
}

/** The authenticators of a route's list that share a carrier. */
export interface Gate {
  readonly label: string
  readonly read: ReadCarrier
  /** Browsers send it by themselves, whatever page asks them to: a cookie, or a certificate. */
  readonly isAmbient: boolean
  /** Programs have it too, which name no page that they are sent by. */
  readonly isCertificate: boolean
  /** A session of the gateway's own, by which a page of another origin must not change anything. */
  readonly isSession: boolean
  readonly doors: readonly Door[]
}

/** What a route's list comes down to; made once a route. */
export interface Plan {
  /** In the order of the list. */
  readonly gates: readonly Gate[]
  /** Decides when nothing was presented. */
  readonly anonymous: Door | null
  readonly readsAuthorization: boolean
  readonly listed: readonly Authenticator[]
  /** What a page's reader is asked for at a sign-in. */
  readonly wish: SignInWish
}

/** Throws when the list names an authenticator that does not exist: that is a bug of the loader. */
export const planOf = (
  { name, authenticate: list, require: requirement }: Route,
  doors: ReadonlyMap<string, Door>,
): Plan => {
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
    const isSession = carrier.kind === 'session'
    const isCertificate = carrier.kind === 'peer-certificate'
    const isAmbient = isSession || isCertificate || carrier.kind === 'cookie'
    const read = carrierReader(carrier)
    return [{ label, read, isAmbient, isCertificate, isSession, doors: sharing }]
  })
  return {
    gates,
    anonymous: listed.find(({ authenticator }) => authenticator.carrier.kind === 'none') ?? null,
    readsAuthorization: listed.some(({ authenticator }) => authenticator.carrier.kind === 'authorization'),
    listed: listed.map(({ authenticator }) => authenticator),
    wish: requirement === undefined ? NO_WISH : wishOf(requirement),
  }
}
