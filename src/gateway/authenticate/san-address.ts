/** The text of an address in 4 or 16 bytes, IPv6 without its short form; null for any other length. */
export const formatAddress = (bytes: Buffer): string | null => {
  if (bytes.length === 4) return [...bytes].join('.')
  if (bytes.length !== 16) return null
  return Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(2 * index).toString(16)).join(':')
}
