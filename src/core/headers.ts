/** Header fields as on the wire: name, value, name, value; names in the sender's case; Latin-1 text. */
export type HeaderPairs = readonly string[]

/**
 * Every value of one field, in order.
 *
 * @param lowerName the field name in lower case.
 */
export const headerValues = (pairs: HeaderPairs, lowerName: string): readonly string[] => {
  const values: string[] = []
  for (let index = 0; index < pairs.length; index += 2) {
    const name = pairs[index]
    if (name !== undefined && name.length === lowerName.length && name.toLowerCase() === lowerName) {
      values.push(pairs[index + 1] ?? '')
    }
  }
  return values
}
