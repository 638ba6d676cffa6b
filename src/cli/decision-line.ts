import type { JsonObject, JsonValue } from '../core/json.ts'

const GREEN = '\x1b[32m'
const RED = '\x1b[31m'
const PLAIN = '\x1b[0m'

/** One line for people: when, what was decided, who, what, by which route and why, and the id to look it up by. */
export const renderDecision = (record: JsonObject, colour: boolean): string => {
  const { time, decision, code, source, evaluations, count } = record
  const asked = isList(evaluations) ? evaluations : [record]
  const verdict = textOf(decision).padEnd(5)
  const times = typeof count === 'number' ? `×${count}` : ''
  const parts = [
    textOf(time),
    colour ? `${decision === 'allow' ? GREEN : RED}${verdict}${PLAIN}` : verdict,
    `${textOf(code)} by ${textOf(source)}${times}`,
    entityOf(record.subject),
    asked
      .map(
        (each) =>
          `${textOf(fieldOf(fieldOf(each, 'action'), 'name'))} ${entityOf(fieldOf(each, 'resource'))}`,
      )
      .join(', '),
    textOf(record.route),
    reasonsOf(record),
    textOf(record.id),
  ]
  return parts.join('  ')
}

const reasonsOf = ({ reasons, detail }: JsonObject): string => {
  if (isList(reasons) && reasons.length > 0) return reasons.map(textOf).join(',')
  return detail === undefined ? '-' : `(${textOf(detail)})`
}

const entityOf = (value: JsonValue | undefined): string => {
  const type = fieldOf(value, 'type')
  return type === undefined ? '-' : `${textOf(type)}::${textOf(fieldOf(value, 'id'))}`
}

const isList = (value: JsonValue | undefined): value is readonly JsonValue[] => Array.isArray(value)

const fieldOf = (value: JsonValue | undefined, name: string): JsonValue | undefined =>
  typeof value === 'object' && value !== null && !isList(value) ? value[name] : undefined

const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

/** What a caller sent could hold what a terminal obeys. */
const textOf = (value: JsonValue | undefined): string => {
  if (value === undefined || value === null) return '-'
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return text.replace(UNPRINTABLE, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`)
}
