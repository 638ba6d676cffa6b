import type { JsonObject, JsonValue } from '../../core/json.ts'
import { originOf, type Root } from './names.ts'
import type { Scope } from './scope.ts'

/** One place that an expression reads: a root and the keys below it, as far as they are known beforehand. */
export interface Read {
  readonly root: Root
  readonly keys: readonly string[]
  /** How the read is spelled, such as `claims.amr` or `request.headers["x-tenant"]`. */
  readonly label: string
}

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]*$/

export const toRead = (root: Root, keys: readonly string[]): Read => ({
  root,
  keys,
  label: keys.reduce<string>(
    (label, key) => label + (IDENTIFIER.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`),
    root,
  ),
})

/** Drops reads of the same place; the order stays. */
export const distinctReads = (reads: readonly Read[]): readonly Read[] => [
  ...new Map(reads.map((read) => [read.label, read])).values(),
]

/**
 * The value at a place, or undefined when nothing is there.
 *
 * Only own keys of objects count: neither a prototype nor a list has any.
 */
export const readValue = (scope: Scope, read: Read): JsonValue | undefined => {
  const { root, keys } = read
  const [first, second] = keys
  switch (root) {
    case 'path':
      return first === undefined ? pathObject(scope) : descend(ownString(scope.path, first), keys, 1)
    case 'claims':
      return descend(scope.identity?.claims, keys, 0)
    case 'body':
      return descend(scope.body ?? undefined, keys, 0)
    case 'subject':
      return readSubject(scope, first, keys)
    case 'credential':
      return readCredential(scope, first)
    case 'route':
      return readRoute(scope, first)
    case 'request':
      return readRequest(scope, first, second)
    case 'secrets':
      return first === undefined ? undefined : scope.secrets.get(first)?.reveal()
  }
}

const descend = (
  start: JsonValue | undefined,
  keys: readonly string[],
  from: number,
): JsonValue | undefined => {
  let value = start
  for (let index = from; index < keys.length; index += 1) {
    const key = keys[index]
    if (key === undefined || !isObject(value) || !Object.hasOwn(value, key)) return undefined
    value = value[key]
  }
  return value
}

const isObject = (value: JsonValue | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const ownString = (from: Readonly<Record<string, string>>, key: string): string | undefined =>
  Object.hasOwn(from, key) ? from[key] : undefined

const pathObject = (scope: Scope): JsonObject => fromEntries(Object.entries(scope.path))

const fromEntries = (entries: Iterable<readonly [string, JsonValue]>): JsonObject => {
  const object: Record<string, JsonValue> = Object.create(null)
  for (const [key, value] of entries) object[key] = value
  return object
}

const readSubject = (
  scope: Scope,
  member: string | undefined,
  keys: readonly string[],
): JsonValue | undefined => {
  const subject = scope.identity?.subject
  if (member === 'type') return subject?.type
  if (member === 'id') return subject?.id
  return member === 'properties' ? descend(subject?.properties ?? {}, keys, 1) : undefined
}

const readCredential = (scope: Scope, member: string | undefined): JsonValue | undefined => {
  const credential = scope.identity?.credential
  if (credential === undefined) return undefined
  switch (member) {
    case 'type':
      return credential.type
    case 'id':
      return credential.id
    case 'issuer':
      return credential.issuer
    case 'issuedAt':
      return wholeSeconds(credential.issuedAt)
    case 'expiresAt':
      return wholeSeconds(credential.expiresAt)
    case 'ageSeconds':
      return scope.ageSeconds
    case 'rotationDue':
      return credential.rotationDue
    default:
      return undefined
  }
}

// NumericDate may have a fraction (RFC 7519 section 2); CEL's int cannot.
const wholeSeconds = (seconds: number | undefined): number | undefined =>
  seconds === undefined ? undefined : Math.floor(seconds)

const readRoute = (scope: Scope, member: string | undefined): string | undefined => {
  const route = scope.accepted?.route
  switch (member) {
    case 'name':
      return route?.name
    case 'owner':
      return route?.owner
    case 'mode':
      return route?.mode
    case 'engine':
      return route?.engine
    case 'upstream':
      return route?.upstream
    default:
      return undefined
  }
}

const readRequest = (
  scope: Scope,
  member: string | undefined,
  key: string | undefined,
): JsonValue | undefined => {
  const request = scope.accepted?.request
  if (request === undefined) return undefined
  switch (member) {
    case 'id':
    case 'method':
    case 'scheme':
    case 'host':
    case 'path':
    case 'ip':
    case 'tls':
      return request[member]
    case 'time':
      return new Date(scope.timeMs).toISOString()
    case 'headers':
    case 'posture':
      return key === undefined ? fromEntries(scope.headers) : scope.headers.get(key)
    case 'query':
      return key === undefined ? fromEntries(scope.query) : scope.query.get(key)
    default:
      return undefined
  }
}

/** The label of the first part of a read that is not there; null when what should hold it can have no parts. */
export const missingPart = (scope: Scope, { root, keys }: Read): string | null => {
  for (let length = 0; length < keys.length; length += 1) {
    const holder = toRead(root, keys.slice(0, length))
    const part = toRead(root, keys.slice(0, length + 1))
    // Roots, and the parts of a request, always have parts.
    if (length > 0 && root !== 'request' && !isObject(readValue(scope, holder))) return null
    if (readValue(scope, part) === undefined && !(root === 'request' && length === 0)) return part.label
  }
  return null
}

/** 400 when the request is to blame, 403 when it is who sends it. */
export const blame = (roots: Iterable<Root>): 'bad_request' | 'denied' => {
  for (const root of roots) if (originOf(root) === 'request') return 'bad_request'
  return 'denied'
}
