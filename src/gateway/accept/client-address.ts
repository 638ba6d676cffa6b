import type { RequestHead } from '../../core/exchange.ts'
import type { HeaderPairs } from '../../core/headers.ts'
import type { Problem } from '../../core/problem.ts'
import { type CanonicalHost, canonicalHost } from './canonical-host.ts'
import type { TrustedHeader, TrustedProxyConfig } from './config.ts'
import { type ForwardedElement, parseForwarded } from './forwarded-header.ts'
import {
  type Cidr,
  cidrHas,
  coversEverything,
  formatIp,
  type IpBytes,
  parseCidr,
  parseIp,
  plainAddress,
} from './ip-address.ts'

/** Where a request comes from, as far as it can be believed. */
export interface Client {
  /** IPv4 for what is mapped. */
  readonly ip: string
  readonly scheme: 'http' | 'https'
  /** Of a believed header; null: the Host field stands. */
  readonly host: CanonicalHost | null
}

/** What a believed header said that cannot be. */
export interface ClientMistake {
  readonly mistake: string
}

export const isClientMistake = (value: object): value is ClientMistake => 'mistake' in value

interface Peer {
  readonly remoteAddress: string
  readonly tls: boolean
  readonly headers: HeaderPairs
  readonly names: readonly string[]
}

interface Proxies {
  readonly cidrs: readonly Cidr[]
  readonly headers: ReadonlySet<string>
}

/**
 * Makes the function that says who the client is, by the fields that `trustedProxies` lets us believe.
 *
 * From a peer that is not listed, nothing is believed; from one that is, only the fields listed with it. A
 * believed field that makes no sense is a mistake, never ignored; what is left of the client's own address was
 * written by the client, and says nothing.
 */
export const createClientReader = (
  trustedProxies: readonly TrustedProxyConfig[],
): ((peer: Peer) => Client | ClientMistake) => {
  const proxies = trustedProxies.map(({ cidrs, headers = [] }) => ({
    cidrs: cidrs.map(parseCidr).filter((cidr) => cidr !== null),
    headers: new Set<string>(headers),
  }))
  if (proxies.length === 0) return direct
  return (peer) => {
    const address = parseIp(plainAddress(peer.remoteAddress))
    if (address === null) return direct(peer)
    const believed = (header: TrustedHeader, hop: IpBytes): boolean => believes(proxies, header, hop)
    return readClient(peer, address, believed)
  }
}

const direct = ({ remoteAddress, tls }: Peer): Client => ({
  ip: plainAddress(remoteAddress),
  scheme: tls ? 'https' : 'http',
  host: null,
})

const believes = (proxies: readonly Proxies[], header: TrustedHeader, hop: IpBytes): boolean =>
  proxies.some(({ headers, cidrs }) => headers.has(header) && cidrs.some((cidr) => cidrHas(cidr, hop)))

type Believes = (header: TrustedHeader, hop: IpBytes) => boolean

const junk = (header: TrustedHeader): ClientMistake => ({
  mistake: `the ${header} header of a trusted proxy makes no sense`,
})

const readClient = (peer: Peer, address: IpBytes, believed: Believes): Client | ClientMistake => {
  const values = (header: TrustedHeader): readonly string[] =>
    believed(header, address) ? valuesOf(peer, header) : []

  const listed = walkForwardedFor(values('x-forwarded-for'), address, believed)
  if (listed !== null && isClientMistake(listed)) return listed
  const forwarded = readForwarded(values('forwarded'), address, believed)
  if (forwarded !== null && isClientMistake(forwarded)) return forwarded
  const proto = single(values('x-forwarded-proto'), 'x-forwarded-proto', parseScheme)
  if (typeof proto === 'object' && proto !== null) return proto
  const host = single(values('x-forwarded-host'), 'x-forwarded-host', canonicalHost)
  if (host !== null && isClientMistake(host)) return host

  if (
    disagree(listed?.ip, forwarded?.ip) ||
    disagree(proto, forwarded?.scheme) ||
    disagree(host?.authority, forwarded?.host?.authority)
  ) {
    return { mistake: 'the Forwarded header of a trusted proxy contradicts its X-Forwarded headers' }
  }
  return {
    ip: listed?.ip ?? forwarded?.ip ?? formatIp(address),
    scheme: proto ?? forwarded?.scheme ?? (peer.tls ? 'https' : 'http'),
    host: host ?? forwarded?.host ?? null,
  }
}

const disagree = (left: string | null | undefined, right: string | null | undefined): boolean =>
  typeof left === 'string' && typeof right === 'string' && left !== right

const valuesOf = ({ headers, names }: Peer, name: string): readonly string[] => {
  const values: string[] = []
  for (let index = names.indexOf(name); index !== -1; index = names.indexOf(name, index + 1)) {
    values.push(headers[2 * index + 1] ?? '')
  }
  return values
}

/** The one value of a field that must not be repeated, parsed; null when it is not there. */
const single = <T extends string | object>(
  values: readonly string[],
  header: TrustedHeader,
  parse: (text: string) => T | null,
): T | ClientMistake | null => {
  const [value] = values
  if (value === undefined) return null
  return (values.length === 1 ? parse(value.trim()) : null) ?? junk(header)
}

const parseScheme = (text: string): 'http' | 'https' | null => {
  const scheme = text.toLowerCase()
  return scheme === 'http' || scheme === 'https' ? scheme : null
}

/** From right to left, over the proxies that are believed, to the first address that is none of them. */
const walkForwardedFor = (
  values: readonly string[],
  peer: IpBytes,
  believed: Believes,
): { readonly ip: string } | ClientMistake | null => {
  if (values.length === 0) return null
  const hops = values.join(',').split(',')
  let client = peer
  for (let index = hops.length - 1; index >= 0 && believed('x-forwarded-for', client); index -= 1) {
    const hop = parseNode(hops[index]?.trim() ?? '')
    if (hop === null) return junk('x-forwarded-for')
    client = hop
  }
  return { ip: formatIp(client) }
}

/** What a peer may be believed. */
export interface PeerTrust {
  readonly trusts: (peer: Pick<RequestHead, 'remoteAddress' | 'peerCertificate'>) => boolean
  /** The client's address by the `X-Forwarded-For` of such a peer, over all proxies that are trusted; null: junk. */
  readonly clientAddress: (remoteAddress: string, forwardedFor: readonly string[]) => string | null
}

/**
 * Tells the peers that may speak for other callers: those that are listed, or where nobody is, those that have shown
 * a certificate which the listener takes.
 *
 * @param trustedProxies which of their headers are listed does not matter here.
 */
export const createPeerTrust = (trustedProxies: readonly TrustedProxyConfig[]): PeerTrust => {
  const cidrs = trustedProxies.flatMap((proxy) => proxy.cidrs.map(parseCidr)).filter((cidr) => cidr !== null)
  const isListed = (address: IpBytes): boolean => cidrs.some((cidr) => cidrHas(cidr, address))
  return {
    trusts: ({ remoteAddress, peerCertificate }) => {
      if (trustedProxies.length === 0) return peerCertificate?.seenBy === 'listener'
      const address = parseIp(plainAddress(remoteAddress))
      return address !== null && isListed(address)
    },
    clientAddress: (remoteAddress, forwardedFor) => {
      const peer = parseIp(plainAddress(remoteAddress))
      if (peer === null) return null
      const walked = walkForwardedFor(forwardedFor, peer, (_header, hop) => hop === peer || isListed(hop))
      if (walked === null) return formatIp(peer)
      return isClientMistake(walked) ? null : walked.ip
    },
  }
}

/** An address, which some proxies write with its port. */
const parseNode = (text: string): IpBytes | null => {
  const bracketed = /^\[([^\]]*)\](?::[0-9]{1,5})?$/.exec(text)
  if (bracketed !== null) return parseIp(bracketed[1] ?? '')
  const withPort = /^([0-9.]+):[0-9]{1,5}$/.exec(text)
  return parseIp(withPort?.[1] ?? text)
}

interface ForwardedFacts {
  readonly ip: string | null
  readonly scheme: 'http' | 'https' | null
  readonly host: CanonicalHost | null
}

/** As `walkForwardedFor`; scheme and host are of the same element as the address. */
const readForwarded = (
  values: readonly string[],
  peer: IpBytes,
  believed: Believes,
): ForwardedFacts | ClientMistake | null => {
  if (values.length === 0) return null
  const elements = parseForwarded(values.join(','))
  if (elements === null) return junk('forwarded')
  let client = peer
  let chosen: ForwardedElement | null = null
  for (let index = elements.length - 1; index >= 0 && believed('forwarded', client); index -= 1) {
    chosen = elements[index] ?? null
    const node = chosen?.get('for')
    // An element without an address says nothing of who is behind it.
    if (node === undefined) return junk('forwarded')
    const hop = parseNode(node)
    if (hop === null) return junk('forwarded')
    client = hop
  }
  return factsOf(chosen, client)
}

const factsOf = (element: ForwardedElement | null, client: IpBytes): ForwardedFacts | ClientMistake => {
  const proto = element?.get('proto')
  const scheme = proto === undefined ? null : parseScheme(proto)
  const name = element?.get('host')
  const host = name === undefined ? null : canonicalHost(name)
  if ((proto !== undefined && scheme === null) || (name !== undefined && host === null))
    return junk('forwarded')
  return { ip: formatIp(client), scheme, host }
}

/** Reports addresses that are none, and ranges that would make everybody a trusted proxy. */
export const checkTrustedProxies = (
  trustedProxies: readonly TrustedProxyConfig[],
  report: (problem: Problem) => void,
): void => {
  const all: Cidr[] = []
  for (const [index, proxy] of trustedProxies.entries()) {
    for (const [position, text] of proxy.cidrs.entries()) {
      const path = ['trustedProxies', index, 'cidrs', position]
      const cidr = parseCidr(text)
      if (cidr === null) {
        report({
          path,
          message: `found ${JSON.stringify(text)}, expected an address range such as 10.0.0.0/8`,
          rule: 'trusted-proxies',
        })
      } else if (coversEverything([cidr])) {
        report({ path, message: everybody(text), rule: 'trusted-proxies' })
      } else all.push(cidr)
    }
  }
  if (coversEverything(all)) {
    report({ path: ['trustedProxies'], message: everybody('these ranges together'), rule: 'trusted-proxies' })
  }
}

const everybody = (what: string): string =>
  `${what} would make everybody a trusted proxy, expected the addresses of your proxies only`
