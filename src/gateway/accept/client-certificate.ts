import { X509Certificate } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { HeaderPairs } from '../../core/headers.ts'
import { type PeerCertificate, peerCertificate } from '../../core/peer-certificate.ts'
import type { ClientMistake } from './client-address.ts'
import type { TrustedHeader, TrustedProxyConfig } from './config.ts'
import { type Cidr, cidrHas, parseCidr, parseIp, plainAddress } from './ip-address.ts'

interface Peer {
  readonly remoteAddress: string
  readonly headers: HeaderPairs
  readonly names: readonly string[]
  readonly peerCertificate?: PeerCertificate | null
}

/** Fields by which a proxy hands on the certificate that it has been shown. */
const CERTIFICATE_HEADERS = ['x-forwarded-client-cert', 'client-cert'] as const
type CertificateHeader = (typeof CERTIFICATE_HEADERS)[number]

interface Believed {
  readonly cidrs: readonly Cidr[]
  readonly header: CertificateHeader
  readonly chain: boolean
}

const MOST_KEPT = 1000
const MOST_ISSUERS = 10

/**
 * Makes the function that says which certificate the caller has shown.
 *
 * From a trusted proxy that lists `X-Forwarded-Client-Cert` or `Client-Cert` it is what that field holds, and none
 * when the field is missing: the proxy's own certificate is not the caller's. From all others it is the one of
 * their own connection, whatever they send.
 *
 * Does not check: the certificate itself, which the proxy has done.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9440
 */
export const createCertificateReader = (
  trustedProxies: readonly TrustedProxyConfig[],
): ((peer: Peer) => PeerCertificate | ClientMistake | null) => {
  const believed = trustedProxies.flatMap(believedOf)
  if (believed.length === 0) return ({ peerCertificate: own }) => own ?? null
  const kept = new LRUCache<string, PeerCertificate>({ max: MOST_KEPT })
  return (peer) => {
    const address = parseIp(plainAddress(peer.remoteAddress))
    const from =
      address === null ? [] : believed.filter(({ cidrs }) => cidrs.some((cidr) => cidrHas(cidr, address)))
    if (from.length === 0) return peer.peerCertificate ?? null
    let found: PeerCertificate | null = null
    for (const { header, chain } of from) {
      const read = readHeader(peer, header, chain, kept)
      if (read === null) continue
      if ('mistake' in read) return read
      if (found !== null && found.thumbprint !== read.thumbprint) return junk(header)
      found ??= read
    }
    return found
  }
}

const believedOf = ({ cidrs, headers = [] }: TrustedProxyConfig): readonly Believed[] => {
  const parsed = cidrs.map(parseCidr).filter((cidr) => cidr !== null)
  const chain = headers.includes('client-cert-chain')
  return CERTIFICATE_HEADERS.filter((header) => headers.includes(header)).map((header) => ({
    cidrs: parsed,
    header,
    chain,
  }))
}

const junk = (header: TrustedHeader): ClientMistake => ({
  mistake: `the ${header} header of a trusted proxy makes no sense`,
})

const readHeader = (
  peer: Peer,
  header: CertificateHeader,
  takesChain: boolean,
  kept: LRUCache<string, PeerCertificate>,
): PeerCertificate | ClientMistake | null => {
  const [value, second] = valuesOf(peer, header)
  if (value === undefined) return null
  if (second !== undefined) return junk(header)
  const isRfc = header === 'client-cert'
  const chain = isRfc && takesChain ? valuesOf(peer, 'client-cert-chain').join(',') : ''
  const key = `${header}\n${value}\n${chain}`
  const known = kept.get(key)
  if (known !== undefined) return known
  const certificates = isRfc ? readRfc9440(value, chain) : readEnvoy(value)
  const [leaf, ...issuers] = certificates ?? []
  if (leaf === undefined || issuers.length > MOST_ISSUERS) return junk(header)
  const certificate = peerCertificate(leaf, 'proxy', issuers)
  kept.set(key, certificate)
  return certificate
}

const valuesOf = ({ headers, names }: Peer, name: string): readonly string[] => {
  const values: string[] = []
  for (let index = names.indexOf(name); index !== -1; index = names.indexOf(name, index + 1)) {
    values.push(headers[2 * index + 1] ?? '')
  }
  return values
}

const BYTE_SEQUENCE = /^:([A-Za-z0-9+/]+={0,2}):$/

/** @see https://www.rfc-editor.org/rfc/rfc9440#section-2 */
const readRfc9440 = (leaf: string, chain: string): readonly X509Certificate[] | null => {
  const items = [leaf, ...(chain.trim() === '' ? [] : chain.split(','))]
  return parseAll(
    items.map((item) => {
      const [, base64] = BYTE_SEQUENCE.exec(item.trim()) ?? []
      return base64 === undefined ? null : Buffer.from(base64, 'base64')
    }),
  )
}

const PAIR = /([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^",;]*))/y
const PEM = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g

/**
 * One element with `Cert`, and maybe `Chain`.
 *
 * Several elements are a mistake: the first were written by whoever was before the proxy.
 *
 * @see https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers#x-forwarded-client-cert
 */
const readEnvoy = (text: string): readonly X509Certificate[] | null => {
  const pairs = new Map<string, string>()
  for (let at = 0; ; at += 1) {
    PAIR.lastIndex = at
    const found = PAIR.exec(text)
    if (found === null) return null
    const name = found[1]?.toLowerCase() ?? ''
    // One certificate may have any number of names.
    if (pairs.has(name) && name !== 'uri' && name !== 'dns') return null
    pairs.set(name, found[2] ?? found[3] ?? '')
    at = PAIR.lastIndex
    if (at === text.length) break
    if (text[at] !== ';') return null
  }
  const leaf = pemBlocks(pairs.get('cert') ?? '')
  const chain = pemBlocks(pairs.get('chain') ?? '')
  if (leaf?.length !== 1 || chain === null) return null
  const certificates = parseAll([...leaf, ...chain])
  // Envoy's chain begins with the leaf.
  return (
    certificates?.filter(
      (each, index) => index === 0 || each.fingerprint256 !== certificates[0]?.fingerprint256,
    ) ?? null
  )
}

const pemBlocks = (encoded: string): readonly string[] | null => {
  try {
    return decodeURIComponent(encoded).match(PEM) ?? []
  } catch {
    return null
  }
}

const parseAll = (encoded: readonly (Buffer | string | null)[]): readonly X509Certificate[] | null => {
  try {
    return encoded.map((each) => new X509Certificate(each ?? ''))
  } catch {
    return null
  }
}
