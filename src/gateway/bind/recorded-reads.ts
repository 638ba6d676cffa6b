import type { JsonObject, JsonValue } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'
import { type Read, toRead } from './reads.ts'

/** What the record of a request kept of it. */
export interface RecordedReads {
  /** By label. */
  readonly inputs: JsonObject
  /** Labels of what was looked for in vain. */
  readonly absent: ReadonlySet<string>
}

/** The value that a read had; absent, or unknown when the record does not tell. */
export type RecordedValue =
  | { readonly value: JsonValue }
  /** `absent`: how many keys lead to the first part that is missing; what holds it is there. */
  | { readonly absent: number }
  | { readonly unknown: 'not recorded' | 'redacted' }

const NOT_RECORDED: RecordedValue = { unknown: 'not recorded' }
const REDACTED: RecordedValue = { unknown: 'redacted' }

/** How a value is spelled that a sink has replaced. */
const HASH = /hmac-sha256:[0-9a-f]{64}/

/** True when a value, or a part of it, was replaced before it was recorded. */
export const isRedacted = (value: JsonValue): boolean => HASH.test(JSON.stringify(value))

/** The label of a read and of all that it is a part of, the longest first. */
const labelsOf = ({ root, keys }: Read): readonly string[] =>
  Array.from(
    { length: keys.length + 1 },
    (_, index) => toRead(root, keys.slice(0, keys.length - index)).label,
  )

const labels = new WeakMap<Read, readonly string[]>()

/** What a record says of one place that a mapping reads. */
export const recordedValue = (read: Read, { inputs, absent }: RecordedReads): RecordedValue => {
  let known = labels.get(read)
  if (known === undefined) {
    known = labelsOf(read)
    labels.set(read, known)
  }
  for (const [index, label] of known.entries()) {
    const length = read.keys.length - index
    if (absent.has(label)) return { absent: length }
    if (!Object.hasOwn(inputs, label)) continue
    let value: JsonValue | undefined = inputs[label]
    for (const [depth, key] of read.keys.slice(length).entries()) {
      if (!isJsonObject(value)) return NOT_RECORDED
      if (!Object.hasOwn(value, key)) return { absent: length + depth + 1 }
      value = value[key]
    }
    if (value === undefined) return NOT_RECORDED
    return isRedacted(value) ? REDACTED : { value }
  }
  return NOT_RECORDED
}
