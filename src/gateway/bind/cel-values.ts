import { Optional } from '@marcbachmann/cel-js'
import type { JsonValue } from '../../core/json.ts'

/** An optional without a value: the field is left out. */
export const ABSENT = Symbol('absent')
/** What has no place in an access request: bytes, durations, unsafe integers, lone surrogates. */
export const UNUSABLE = Symbol('unusable')

const LONE_SURROGATE = /\p{Surrogate}/u

/**
 * JSON as CEL sees it: numbers are doubles, as cel-spec has it for JSON.
 *
 * Objects become maps, since a JavaScript object with a key `constructor` is of no type that CEL knows.
 */
export const toCel = (value: JsonValue, encode: ((text: string) => string) | null = null): unknown => {
  if (typeof value === 'string') return encode === null ? value : encode(value)
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((item) => toCel(item, encode))
  const map = new Map<string, unknown>()
  for (const [key, inner] of Object.entries(value)) map.set(key, toCel(inner, encode))
  return map
}

/**
 * What an expression gave, as JSON.
 *
 * Integers are numbers while they are safe, timestamps are RFC 3339 strings. Absent optionals inside
 * lists and maps are left out.
 */
export const fromCel = (value: unknown): JsonValue | typeof ABSENT | typeof UNUSABLE => {
  switch (typeof value) {
    case 'string':
    case 'number':
    case 'boolean':
      return isUsable(value) ? value : UNUSABLE
    case 'bigint': {
      const number = Number(value)
      return Number.isSafeInteger(number) ? number : UNUSABLE
    }
    case 'object':
      return value === null ? null : fromCelObject(value)
    default:
      return UNUSABLE
  }
}

const fromCelObject = (value: object): JsonValue | typeof ABSENT | typeof UNUSABLE => {
  if (value instanceof Optional) {
    const inner: unknown = value.orValue(ABSENT)
    return inner === ABSENT ? ABSENT : fromCel(inner)
  }
  if (Array.isArray(value)) return fromCelList(value)
  if (value instanceof Map) return fromCelEntries(value.entries())
  if (value instanceof Date) return Number.isFinite(value.getTime()) ? value.toISOString() : UNUSABLE
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === null) return fromCelEntries(Object.entries(value))
  // CEL's uint is of a class that the package does not export.
  const primitive: unknown = value.valueOf()
  return typeof primitive === 'bigint' ? fromCel(primitive) : UNUSABLE
}

const fromCelList = (list: readonly unknown[]): JsonValue | typeof UNUSABLE => {
  const items: JsonValue[] = []
  for (const item of list) {
    const converted = fromCel(item)
    if (converted === UNUSABLE) return UNUSABLE
    if (converted !== ABSENT) items.push(converted)
  }
  return items
}

const fromCelEntries = (entries: Iterable<readonly [unknown, unknown]>): JsonValue | typeof UNUSABLE => {
  const object: Record<string, JsonValue> = Object.create(null)
  for (const [key, inner] of entries) {
    const converted = fromCel(inner)
    if (converted === UNUSABLE || typeof key !== 'string' || !isUsable(key)) return UNUSABLE
    if (converted !== ABSENT) object[key] = converted
  }
  return object
}

/** False for what JSON could not carry unchanged. */
const isUsable = (value: string | number | boolean): boolean => {
  if (typeof value === 'string') return !LONE_SURROGATE.test(value)
  if (typeof value === 'boolean') return true
  return Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value))
}

/** True when every string and number in it could be sent unchanged. */
export const isUsableJson = (value: JsonValue): boolean => {
  if (typeof value !== 'object') return isUsable(value)
  if (value === null) return true
  if (Array.isArray(value)) return value.every(isUsableJson)
  return Object.entries(value).every(([key, inner]) => isUsable(key) && isUsableJson(inner))
}
