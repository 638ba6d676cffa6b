/** One value of ASN.1 in DER. */
export interface DerValue {
  /** The identifier octet; tags above 30 are not read. */
  readonly tag: number
  readonly content: Buffer
  readonly end: number
}

/**
 * Reads the value at an offset; null when there is none that is whole.
 *
 * @see https://www.itu.int/rec/T-REC-X.690 section 8.1
 */
export const derValueAt = (bytes: Buffer, offset: number): DerValue | null => {
  const tag = bytes[offset]
  const first = bytes[offset + 1]
  if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f) return null
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f
  if (first === 0x80 || lengthBytes > 4 || offset + 2 + lengthBytes > bytes.length) return null
  const length = lengthBytes === 0 ? first : bytes.readUIntBE(offset + 2, lengthBytes)
  const start = offset + 2 + lengthBytes
  const end = start + length
  return end > bytes.length ? null : { tag, content: bytes.subarray(start, end), end }
}

/** The values inside a constructed one; null when they do not fill it. */
export const derValuesIn = (content: Buffer): readonly DerValue[] | null => {
  const values: DerValue[] = []
  for (let offset = 0; offset < content.length; ) {
    const value = derValueAt(content, offset)
    if (value === null) return null
    values.push(value)
    offset = value.end
  }
  return values
}
