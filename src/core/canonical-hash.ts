import { hash } from 'node:crypto'

/**
 * One text for each JSON value, and one JSON value for each text.
 *
 * Every part carries its type and its length, so that no two values, and no two sequences of texts
 * joined together, ever give the same text. The order of keys does not matter; everything else does:
 * `1` is not `"1"`, an absent key is not `null`, and equal letters in different Unicode normal forms differ.
 * Keys whose value is `undefined` are absent.
 *
 * @throws {TypeError} for what is not JSON, such as a `Date`, `NaN` or a hole in an array.
 */
export const canonicalText = (value: unknown): string => {
  switch (typeof value) {
    case 'string':
      return stringText(value)
    case 'number':
      if (!Number.isFinite(value)) break
      return `n${Object.is(value, -0) ? '-0' : value};`
    case 'boolean':
      return value ? 't' : 'f'
    case 'object':
      if (value === null) return 'z'
      return Array.isArray(value) ? arrayText(value) : objectText(value)
  }
  throw new TypeError(`a ${typeof value} has no canonical text`)
}

/** SHA-256, in base64url, of `canonicalText(value)`. */
export const canonicalHash = (value: unknown): string => hashText(canonicalText(value))

/** SHA-256, in base64url, of a text that `canonicalText` made, or of several joined together. */
export const hashText = (canonical: string): string => hash('sha256', canonical, 'base64url')

const stringText = (value: string): string => {
  // UTF-8 has no lone surrogates: the hash would see U+FFFD in place of each.
  return value.isWellFormed()
    ? `s${value.length}:${value}`
    : `u${value.length}:${Buffer.from(value, 'utf16le').toString('hex')}`
}

const arrayText = (values: readonly unknown[]): string => {
  let text = `a${values.length}:`
  for (const value of values) text += canonicalText(value)
  return text
}

/**
 * `canonicalText` of an object as if it did not have this key.
 *
 * @throws {TypeError} as `canonicalText` does.
 */
export const canonicalTextWithout = (object: object, key: string): string => objectText(object, key)

const objectText = (object: object, without?: string): string => {
  const prototype: unknown = Object.getPrototypeOf(object)
  // The content of a class's instance is not in its keys: every Date would look like every other.
  if (prototype !== Object.prototype && prototype !== null) {
    throw new TypeError('an object of a class has no canonical text')
  }
  let count = 0
  let text = ''
  for (const key of sortedKeys(object)) {
    const value: unknown = Reflect.get(object, key)
    if (value === undefined || key === without) continue
    count += 1
    text += stringText(key) + canonicalText(value)
  }
  return `o${count}:${text}`
}

/** To look whether they are in order costs less than to sort what nearly always is. */
const sortedKeys = (object: object): readonly string[] => {
  const keys = Object.keys(object)
  for (let index = 1; index < keys.length; index += 1) {
    if ((keys[index - 1] ?? '') > (keys[index] ?? '')) return keys.sort()
  }
  return keys
}
