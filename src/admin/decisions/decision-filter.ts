import type { JsonObject, JsonValue } from '../../core/json.ts'

/** What a record must be like; what is not given does not matter. */
export interface DecisionFilter {
  /** `Type::id`. */
  readonly subject?: string
  /** The action's name. */
  readonly action?: string
  /** `Type::id`. */
  readonly resource?: string
  readonly decision?: 'allow' | 'deny'
  /** The route's name. */
  readonly route?: string
  /** Recorded at this time or later, in milliseconds since the epoch. */
  readonly sinceMs?: number
}

export const FILTER_NAMES = ['subject', 'action', 'resource', 'decision', 'route', 'since'] as const

/** Each at most once; undefined when it is not given. */
export type FilterTexts = Readonly<Partial<Record<(typeof FILTER_NAMES)[number], string>>>

const RFC3339 = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)$/
const AGO = /^(\d{1,9})(ms|s|m|h|d)$/
const MS_OF: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
])

/** Reads a filter as it is written in a query or on a command line, or says what is wrong with it. */
export const readFilter = (
  texts: FilterTexts,
  nowMs: number,
): { readonly filter: DecisionFilter } | { readonly mistake: string } => {
  const { subject, action, resource, decision, route, since } = texts
  for (const [name, text] of [
    ['subject', subject],
    ['resource', resource],
  ] as const) {
    if (text !== undefined && !/^[^:].*::./s.test(text)) {
      return {
        mistake: `${name}: expected Type::id, such as ${name === 'subject' ? 'User::alice' : 'Account::42'}`,
      }
    }
  }
  if (decision !== undefined && decision !== 'allow' && decision !== 'deny') {
    return { mistake: 'decision: expected allow or deny' }
  }
  const sinceMs = since === undefined ? undefined : readTime(since, nowMs)
  if (sinceMs === null) {
    return { mistake: 'since: expected a time such as 2026-11-23T22:10:00Z, or how long ago, such as 15m' }
  }
  return {
    filter: {
      ...(subject !== undefined && { subject }),
      ...(action !== undefined && { action }),
      ...(resource !== undefined && { resource }),
      ...(decision !== undefined && { decision }),
      ...(route !== undefined && { route }),
      ...(sinceMs !== undefined && { sinceMs }),
    },
  }
}

const readTime = (text: string, nowMs: number): number | null => {
  const [, count, unit = ''] = AGO.exec(text) ?? []
  if (count !== undefined) return nowMs - Number(count) * (MS_OF.get(unit) ?? 0)
  const timeMs = RFC3339.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(timeMs) ? null : timeMs
}

/**
 * Texts that every line of a matching record holds, so that most of the others need not be parsed.
 *
 * Only for lines that nothing is redacted in.
 */
export const needlesOf = ({
  subject,
  action,
  resource,
  decision,
  route,
}: DecisionFilter): readonly string[] => [
  // What stands behind the last `::` ends the id, however the rest is split.
  ...[subject, resource].flatMap((text) =>
    text === undefined ? [] : [endOfJson(text.split('::').at(-1) ?? '')],
  ),
  ...(action === undefined ? [] : [`"name":${JSON.stringify(action)}`]),
  ...(decision === undefined ? [] : [`"decision":"${decision}"`]),
  ...(route === undefined ? [] : [`"route":${JSON.stringify(route)}`]),
]

const endOfJson = (text: string): string => JSON.stringify(text).slice(1)

/** True for a record that is what the filter says; of several questions, one is enough. */
export const matches = (filter: DecisionFilter, record: JsonObject): boolean => {
  const { subject, action, resource, decision, route, sinceMs } = filter
  if (decision !== undefined && record.decision !== decision) return false
  if (route !== undefined && record.route !== route) return false
  if (sinceMs !== undefined && !(recordedAtMs(record) >= sinceMs)) return false
  const questions = isList(record.evaluations) ? record.evaluations : [record]
  if (
    subject !== undefined &&
    ![record, ...questions].some((each) => isEntity(fieldOf(each, 'subject'), subject))
  ) {
    return false
  }
  if (action === undefined && resource === undefined) return true
  return questions.some(
    (each) =>
      (action === undefined || fieldOf(fieldOf(each, 'action'), 'name') === action) &&
      (resource === undefined || isEntity(fieldOf(each, 'resource'), resource)),
  )
}

/** NaN when the record does not say. */
export const recordedAtMs = ({ time }: JsonObject): number =>
  typeof time === 'string' ? Date.parse(time) : Number.NaN

/** Types and ids may both hold `::`, so that the text is compared as a whole. */
const isEntity = (value: JsonValue | undefined, text: string): boolean => {
  const type = fieldOf(value, 'type')
  const id = fieldOf(value, 'id')
  return typeof type === 'string' && typeof id === 'string' && `${type}::${id}` === text
}

const isList = (value: JsonValue | undefined): value is readonly JsonValue[] => Array.isArray(value)

const fieldOf = (value: JsonValue | undefined, name: string): JsonValue | undefined =>
  typeof value === 'object' && value !== null && !isList(value) && Object.hasOwn(value, name)
    ? value[name]
    : undefined
