import type { HeaderPairs } from '../../core/headers.ts'
import type { TrustedProxyConfig } from './config.ts'
import { cidrHas, parseCidr, parseIp, plainAddress } from './ip-address.ts'

interface Fields {
  readonly headers: HeaderPairs
  /** In lower case, one a field. */
  readonly names: readonly string[]
}

/** Takes away what a peer is not believed to say of its caller's device. */
export type PostureFilter = (fields: Fields, remoteAddress: string) => Fields

type Listed = Pick<TrustedProxyConfig, 'cidrs' | 'posture'>

/** Lower-case names of the fields in which some proxy of some listener says how a caller's device is. */
export const postureNames = (
  listeners: Iterable<{ readonly trustedProxies: readonly Listed[] }>,
): ReadonlySet<string> =>
  new Set(
    [...listeners].flatMap(({ trustedProxies }) =>
      trustedProxies.flatMap(({ posture = [] }) => posture.map((name) => name.toLowerCase())),
    ),
  )

/**
 * Makes the filter of one listener: of `all` the posture fields, a request keeps those that its peer is listed for.
 *
 * Does not check: that the proxy removes what its own callers send in them. That is the proxy's part.
 *
 * @param all those of every listener, so that one door opens nothing that another one guards.
 */
export const createPostureFilter = (
  trustedProxies: readonly Listed[],
  all: ReadonlySet<string>,
): PostureFilter => {
  if (all.size === 0) return (fields) => fields
  const believed = trustedProxies.map(({ cidrs, posture = [] }) => ({
    cidrs: cidrs.map(parseCidr).filter((cidr) => cidr !== null),
    names: new Set(posture.map((name) => name.toLowerCase())),
  }))
  const isBelieved = (name: string, remoteAddress: string): boolean => {
    const address = parseIp(plainAddress(remoteAddress))
    if (address === null) return false
    return believed.some(
      ({ cidrs, names }) => names.has(name) && cidrs.some((cidr) => cidrHas(cidr, address)),
    )
  }
  return (fields, remoteAddress) => {
    const { headers, names } = fields
    if (!names.some((name) => all.has(name))) return fields
    const isKept = names.map((name) => !all.has(name) || isBelieved(name, remoteAddress))
    return {
      headers: headers.filter((_, index) => isKept[Math.floor(index / 2)] === true),
      names: names.filter((_, index) => isKept[index] === true),
    }
  }
}
