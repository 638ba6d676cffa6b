import type { Bound } from '../../core/decision.ts'
import type { Identity } from '../../core/identity.ts'
import type { JsonObject, JsonValue } from '../../core/json.ts'
import type { Refusal } from '../../core/refusals.ts'
import type { Accepted } from '../../core/request.ts'
import { bindScope, floorTo } from './bind.ts'
import type { MappingPlan } from './plan.ts'
import type { Read } from './reads.ts'
import { type RecordedReads, recordedValue } from './recorded-reads.ts'
import type { Scope } from './scope.ts'

/** Why a record does not tell what a mapping would make of its request. */
export interface Untold {
  readonly untold: string
}

/** A request of which only its record is left. */
export interface RecordedRequest {
  /** What is not recorded, such as headers and the query, is empty. */
  readonly accepted: Accepted
  readonly identity: Identity | null
  /** Whole seconds since the credential was issued; undefined: unknown to it. */
  readonly ageSeconds: number | undefined
  readonly reads: RecordedReads
}

/**
 * Maps a recorded request, by what its record kept of it and nothing else.
 *
 * @returns `untold` as soon as the mapping reads a single thing that the record does not hold, whether or not it
 *   would make a difference.
 */
export const bindRecorded = (plan: MappingPlan, recorded: RecordedRequest): Bound | Refusal | Untold => {
  const { accepted, identity, ageSeconds, reads } = recorded
  const claims: Record<string, JsonValue> = {}
  const body: Record<string, JsonValue> = {}
  const headers = new Map<string, string>()
  const query = new Map<string, string>()
  const credential: Record<string, JsonValue> = {}
  const request: Record<string, JsonValue> = {}
  for (const read of shortestFirst(plan)) {
    if (isTold(read, recorded)) continue
    const known = recordedValue(read, reads)
    if ('unknown' in known) return { untold: `${read.label}: ${known.unknown}` }
    const [first = '', second] = read.keys
    if (read.root === 'claims') place(claims, read.keys, known)
    else if (read.root === 'body') place(body, read.keys, known)
    else if ('absent' in known) continue
    else if (read.root === 'credential') credential[first] = known.value
    else if (first === 'headers' || first === 'posture' || first === 'query') {
      fill(first === 'query' ? query : headers, second, known.value)
    } else request[first] = known.value
  }
  if (plan.wanted.headers.has('cookie')) return { untold: 'request.headers.cookie: never recorded' }
  const scope: Scope = {
    stage: 'bind',
    accepted: { ...accepted, request: { ...accepted.request, ...request } },
    identity:
      identity === null
        ? null
        : { ...identity, claims, credential: { ...identity.credential, ...credential } },
    path: accepted.path,
    headers,
    query,
    body: plan.wanted.body === null ? null : body,
    timeMs: floorTo(accepted.request.receivedAtMs, plan.quantiseMs),
    ageSeconds:
      ageSeconds === undefined ? undefined : Math.floor(floorTo(ageSeconds * 1000, plan.quantiseMs) / 1000),
    secrets: plan.secrets,
    failure: null,
    celContext: null,
    encodedContext: null,
  }
  return bindScope(plan, scope, accepted.request, null)
}

const sorted = new WeakMap<MappingPlan, readonly Read[]>()

// What is a part of a place that is read as a whole comes after it.
const shortestFirst = (plan: MappingPlan): readonly Read[] => {
  const known = sorted.get(plan)
  if (known !== undefined) return known
  const made = [...plan.inputs].sort((left, right) => left.keys.length - right.keys.length)
  sorted.set(plan, made)
  return made
}

/** What every record tells by itself. */
const TOLD: Readonly<Record<string, ReadonlySet<string>>> = {
  request: new Set(['id', 'method', 'host', 'path', 'ip', 'time']),
  credential: new Set(['type', 'id', 'issuer', 'ageSeconds']),
}

const isTold = ({ root, keys }: Read, { identity }: RecordedRequest): boolean => {
  if (root === 'path' || root === 'route' || root === 'secrets') return true
  // Nobody is authenticated: there is nothing to be read.
  if (identity === null && (root === 'claims' || root === 'subject' || root === 'credential')) return true
  if (root === 'subject') return true
  return TOLD[root]?.has(keys[0] ?? '') === true
}

type Known = Exclude<ReturnType<typeof recordedValue>, { readonly unknown: string }>

/** Puts a value where it stood. Of what is absent, all that should hold it is there. */
const place = (holder: Record<string, JsonValue>, keys: readonly string[], known: Known): void => {
  if ('absent' in known) return descend(holder, keys.slice(0, known.absent - 1), {})
  if (keys.length > 0) return descend(holder, keys, known.value)
  if (isObject(known.value)) Object.assign(holder, known.value)
}

const descend = (
  holder: Record<string, JsonValue>,
  [key, ...rest]: readonly string[],
  value: JsonValue,
): void => {
  if (key === undefined) return
  const held = Object.hasOwn(holder, key) ? holder[key] : undefined
  // What stands there already was read as a whole.
  if (held !== undefined && (rest.length === 0 || !isObject(held))) return
  if (rest.length === 0) return setOwn(holder, key, value)
  const inner: Record<string, JsonValue> = { ...(held as JsonObject | undefined) }
  descend(inner, rest, value)
  setOwn(holder, key, inner)
}

const isObject = (value: JsonValue): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const setOwn = (object: Record<string, JsonValue>, key: string, value: JsonValue): void => {
  Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true })
}

const fill = (values: Map<string, string>, key: string | undefined, value: JsonValue): void => {
  if (key !== undefined && typeof value === 'string') values.set(key, value)
  if (key !== undefined || !isObject(value)) return
  for (const [name, text] of Object.entries(value)) if (typeof text === 'string') values.set(name, text)
}
