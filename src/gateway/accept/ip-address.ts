import { isIPv4, isIPv6 } from 'node:net'

/** An address as bytes: 4, or 16. An IPv4-mapped IPv6 address has 4. */
export type IpBytes = readonly number[]

/** A range of addresses. */
export interface Cidr {
  readonly bytes: IpBytes
  readonly bits: number
}

const MAPPED_PREFIX = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]
const MAPPED_BITS = 96

/** The bytes of an address without port and zone, or null. */
export const parseIp = (text: string): IpBytes | null => {
  const bytes = parseUnmapped(text)
  return bytes !== null && isMapped(bytes) ? bytes.slice(12) : bytes
}

const parseUnmapped = (text: string): IpBytes | null => {
  if (isIPv4(text)) return text.split('.').map(Number)
  return isIPv6(text) && !text.includes('%') ? parseIpv6(text) : null
}

const isMapped = (bytes: IpBytes): boolean =>
  bytes.length === 16 && MAPPED_PREFIX.every((byte, index) => bytes[index] === byte)

/** @param text is known to be an IPv6 address. */
const parseIpv6 = (text: string): IpBytes => {
  const [head = '', tail] = text.split('::')
  const front = groupBytes(head)
  if (tail === undefined) return front
  const back = groupBytes(tail)
  return [...front, ...new Array<number>(16 - front.length - back.length).fill(0), ...back]
}

const groupBytes = (text: string): number[] =>
  text
    .split(':')
    .filter((group) => group !== '')
    .flatMap((group) => {
      if (group.includes('.')) return group.split('.').map(Number)
      const value = Number.parseInt(group, 16)
      return [value >> 8, value & 0xff]
    })

/** `10.0.0.0/8`, `fd00::/8`, or one address; null when it is neither. */
export const parseCidr = (text: string): Cidr | null => {
  const slash = text.indexOf('/')
  const bytes = parseUnmapped(slash === -1 ? text : text.slice(0, slash))
  if (bytes === null) return null
  const length = slash === -1 ? String(bytes.length * 8) : text.slice(slash + 1)
  if (!/^(?:0|[1-9][0-9]{0,2})$/.test(length)) return null
  const bits = Number(length)
  if (bits > bytes.length * 8) return null
  return isMapped(bytes) && bits >= MAPPED_BITS
    ? { bytes: bytes.slice(12), bits: bits - MAPPED_BITS }
    : { bytes, bits }
}

export const cidrHas = ({ bytes, bits }: Cidr, address: IpBytes): boolean => {
  if (address.length !== bytes.length) return false
  const whole = bits >> 3
  for (let index = 0; index < whole; index += 1) if (address[index] !== bytes[index]) return false
  const left = bits & 7
  return left === 0 || ((address[whole] ?? 0) ^ (bytes[whole] ?? 0)) >> (8 - left) === 0
}

/** One spelling of an address: RFC 5952, and IPv4 for what is mapped. */
export const formatIp = (bytes: IpBytes): string => {
  if (bytes.length === 4) return bytes.join('.')
  const groups = Array.from({ length: 8 }, (_, index) =>
    (((bytes[2 * index] ?? 0) << 8) | (bytes[2 * index + 1] ?? 0)).toString(16),
  )
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)
}

/** True when the ranges together hold every IPv4 address, or every IPv6 address. */
export const coversEverything = (cidrs: readonly Cidr[]): boolean =>
  [4, 16].some((size) => coversFamily(cidrs.filter(({ bytes }) => bytes.length === size)))

const coversFamily = (cidrs: readonly Cidr[]): boolean => {
  const ranges = cidrs.map(rangeOf).sort(([left], [right]) => (left < right ? -1 : 1))
  let covered = 0n
  for (const [start, end] of ranges) {
    if (start > covered) return false
    if (end > covered) covered = end
  }
  const [first] = cidrs
  return first !== undefined && covered === 1n << BigInt(first.bytes.length * 8)
}

/** First address, and the one after the last. */
const rangeOf = ({ bytes, bits }: Cidr): readonly [bigint, bigint] => {
  const free = BigInt(bytes.length * 8 - bits)
  const value = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
  const start = (value >> free) << free
  return [start, start + (1n << free)]
}

/** The peer's address as it is told: IPv4 for what is mapped, without a zone. */
export const plainAddress = (remoteAddress: string): string => {
  // The kernel's own spelling, which needs no parsing.
  if (remoteAddress.startsWith('::ffff:') && remoteAddress.includes('.')) return remoteAddress.slice(7)
  const zone = remoteAddress.indexOf('%')
  return zone === -1 ? remoteAddress : remoteAddress.slice(0, zone)
}
