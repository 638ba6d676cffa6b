import type { JsonObject, JsonValue } from './json.ts'

export interface StrictJsonOptions {
  /** Refuses keys that are equal but for case, as many parsers bind them to one field. Default true. */
  readonly caseInsensitiveDuplicates?: boolean
  /** How many arrays and objects may be open at once. Default 32. */
  readonly maxDepth?: number
}

interface Scanner {
  readonly text: string
  readonly fold: (key: string) => string
  readonly maxDepth: number
  position: number
  problem: string
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const LONE_SURROGATE = /\p{Surrogate}/u
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const HEX = /[0-9a-fA-F]{4}/y
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ['\\', '\\'],
  ['/', '/'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
])
const LITERALS: ReadonlyMap<string, readonly [string, JsonValue]> = new Map([
  ['t', ['true', true]],
  ['f', ['false', false]],
  ['n', ['null', null]],
])

/**
 * The form in which names are equal but for case.
 *
 * Upper case first: that makes `ſ` and the Kelvin sign equal to `s` and `k`, as in Go's encoding/json.
 */
export const foldCase = (key: string): string => key.toUpperCase().toLowerCase()

/**
 * Parses JSON so that no other parser can have read something else: what is ambiguous is refused.
 *
 * Refused are duplicate keys (equal after unescaping, by default also but for case), nesting over
 * `maxDepth`, integers that are not safe, numbers that are not finite, lone surrogates, a byte order
 * mark, and anything before or after the one value. Objects have no prototype, so that only keys that
 * were sent can be read. The problem says where (`offset` too, in UTF-16 units), and never repeats what was sent.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7493 (I-JSON)
 */
export const parseStrictJson = (
  text: string,
  options: StrictJsonOptions = {},
): { readonly value: JsonValue } | { readonly problem: string; readonly offset: number } => {
  const scanner: Scanner = {
    text,
    fold: (options.caseInsensitiveDuplicates ?? true) ? foldCase : (key) => key,
    maxDepth: options.maxDepth ?? 32,
    position: 0,
    problem: '',
  }
  const value = scanValue(scanner, 0)
  if (value === undefined) return { problem: scanner.problem, offset: scanner.position }
  skipSpace(scanner)
  if (scanner.position < text.length) {
    return { problem: `data after the end at character ${scanner.position}`, offset: scanner.position }
  }
  return { value }
}

const fail = (scanner: Scanner, what: string): undefined => {
  scanner.problem = `${what} at character ${scanner.position}`
  return undefined
}

const skipSpace = (scanner: Scanner): void => {
  for (;;) {
    const code = scanner.text.charCodeAt(scanner.position)
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return
    scanner.position += 1
  }
}

const take = (scanner: Scanner, character: string): boolean => {
  if (scanner.text[scanner.position] !== character) return false
  scanner.position += 1
  return true
}

// Undefined stands for a failure throughout: no JSON value is undefined.
const scanValue = (scanner: Scanner, depth: number): JsonValue | undefined => {
  skipSpace(scanner)
  const first = scanner.text[scanner.position]
  if (first === undefined) return fail(scanner, 'unexpected end')
  if (first === '"') return scanString(scanner)
  if (first === '{' || first === '[') {
    if (depth >= scanner.maxDepth) return fail(scanner, `nesting over ${scanner.maxDepth}`)
    scanner.position += 1
    return first === '{' ? scanObject(scanner, depth + 1) : scanArray(scanner, depth + 1)
  }
  const literal = LITERALS.get(first)
  if (literal === undefined) return scanNumber(scanner)
  if (!scanner.text.startsWith(literal[0], scanner.position)) return fail(scanner, 'unexpected character')
  scanner.position += literal[0].length
  return literal[1]
}

const scanObject = (scanner: Scanner, depth: number): JsonObject | undefined => {
  const object: Record<string, JsonValue> = Object.create(null)
  const keys = new Set<string>()
  skipSpace(scanner)
  if (take(scanner, '}')) return object
  for (;;) {
    skipSpace(scanner)
    if (scanner.text[scanner.position] !== '"') return fail(scanner, 'expected a key')
    const start = scanner.position
    const key = scanString(scanner)
    if (key === undefined) return undefined
    const folded = scanner.fold(key)
    if (keys.has(folded)) {
      scanner.position = start
      return fail(scanner, 'duplicate key')
    }
    keys.add(folded)
    skipSpace(scanner)
    if (!take(scanner, ':')) return fail(scanner, 'expected a colon')
    const value = scanValue(scanner, depth)
    if (value === undefined) return undefined
    object[key] = value
    skipSpace(scanner)
    if (take(scanner, '}')) return object
    if (!take(scanner, ',')) return fail(scanner, 'expected a comma or the end of the object')
  }
}

const scanArray = (scanner: Scanner, depth: number): JsonValue[] | undefined => {
  const array: JsonValue[] = []
  skipSpace(scanner)
  if (take(scanner, ']')) return array
  for (;;) {
    const value = scanValue(scanner, depth)
    if (value === undefined) return undefined
    array.push(value)
    skipSpace(scanner)
    if (take(scanner, ']')) return array
    if (!take(scanner, ',')) return fail(scanner, 'expected a comma or the end of the array')
  }
}

const scanNumber = (scanner: Scanner): number | undefined => {
  NUMBER.lastIndex = scanner.position
  const match = NUMBER.exec(scanner.text)
  if (match === null) return fail(scanner, 'unexpected character')
  const value = Number(match[0])
  if (!Number.isFinite(value)) return fail(scanner, 'number out of range')
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) return fail(scanner, 'integer beyond 2^53')
  scanner.position += match[0].length
  return value
}

const scanString = (scanner: Scanner): string | undefined => {
  const { text } = scanner
  const begin = scanner.position
  scanner.position += 1
  let plainFrom = scanner.position
  let value = ''
  for (;;) {
    const code = text.charCodeAt(scanner.position)
    // Also false at the end, where the code is NaN.
    if (!(code >= 0x20)) return fail(scanner, 'control character or end in a string')
    if (code === QUOTE) break
    if (code !== BACKSLASH) {
      scanner.position += 1
      continue
    }
    value += text.slice(plainFrom, scanner.position)
    const character = scanEscape(scanner)
    if (character === undefined) return undefined
    value += character
    plainFrom = scanner.position
  }
  value += text.slice(plainFrom, scanner.position)
  scanner.position += 1
  if (LONE_SURROGATE.test(value)) {
    scanner.position = begin
    return fail(scanner, 'lone surrogate in the string')
  }
  return value
}

const scanEscape = (scanner: Scanner): string | undefined => {
  const letter = scanner.text[scanner.position + 1] ?? ''
  const simple = ESCAPES.get(letter)
  if (simple !== undefined) {
    scanner.position += 2
    return simple
  }
  HEX.lastIndex = scanner.position + 2
  const hex = letter === 'u' ? HEX.exec(scanner.text) : null
  if (hex === null) return fail(scanner, 'bad escape')
  scanner.position += 6
  return String.fromCharCode(Number.parseInt(hex[0], 16))
}
