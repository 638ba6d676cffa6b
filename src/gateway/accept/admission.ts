import type { Socket } from 'node:net'
import type { TrustedProxyConfig } from './config.ts'
import { type Cidr, cidrHas, parseCidr, parseIp, plainAddress } from './ip-address.ts'

/** Counts the connections of each peer. */
export interface Admission {
  /** True when the peer may have one more; it is then counted until it closes. */
  readonly admit: (socket: Socket) => boolean
  /** Who may have any number, since they speak for many callers; in place of those so far. */
  readonly trust: (trustedProxies: readonly TrustedProxyConfig[]) => void
}

/**
 * Bounds what one address can hold of a listener.
 *
 * @param limit connections of one peer at a time.
 */
export const createAdmission = (limit: () => number): Admission => {
  let trusted: readonly Cidr[] = []
  const counts = new Map<string, number>()

  const isTrusted = (address: string): boolean => {
    if (trusted.length === 0) return false
    const bytes = parseIp(address)
    return bytes !== null && trusted.some((cidr) => cidrHas(cidr, bytes))
  }
  const leave = (peer: string): void => {
    const left = (counts.get(peer) ?? 1) - 1
    if (left === 0) counts.delete(peer)
    else counts.set(peer, left)
  }
  return {
    trust: (trustedProxies) => {
      trusted = trustedProxies.flatMap(({ cidrs }) => cidrs.map(parseCidr)).filter((cidr) => cidr !== null)
    },
    admit: (socket) => {
      const address = plainAddress(socket.remoteAddress ?? '')
      if (isTrusted(address)) return true
      const peer = peerOf(address)
      const count = counts.get(peer) ?? 0
      if (count >= limit()) return false
      counts.set(peer, count + 1)
      // Not `once`, which would make three objects more for each of thousands.
      socket.on('close', () => leave(peer))
      return true
    },
  }
}

const NETWORK_BYTES = 8

/** Whoever has an IPv6 address usually has all of its /64 network. */
const peerOf = (address: string): string => {
  if (!address.includes(':')) return address
  return parseIp(address)?.slice(0, NETWORK_BYTES).join('.') ?? address
}
