import { isDeepStrictEqual } from 'node:util'
import type { Expected } from '../config/decision-tests/schema.ts'
import type { Explanation } from '../gateway/explain.ts'

/** One thing that is not as it was expected to be. */
export interface Difference {
  /** Key of what was expected. */
  readonly key: string
  /** On one line. */
  readonly message: string
}

/** What came of a request, with the keys of what a test expects. */
const outcomeOf = (explained: Explanation): Readonly<Record<keyof Expected, unknown>> => {
  const { accessRequest, evaluations, decision, status } = explained
  const single = accessRequest !== null && 'action' in accessRequest ? accessRequest : null
  const batch = accessRequest !== null && 'evaluations' in accessRequest ? accessRequest.evaluations : null
  return {
    decision,
    code: explained.code,
    status: decision === 'allow' ? 200 : status,
    route: explained.route,
    owner: explained.owner,
    source: explained.source,
    engine: explained.engine,
    subject: accessRequest?.subject ?? explained.subject,
    action: single?.action,
    resource: single?.resource,
    context: single?.context,
    evaluations: batch?.map((asked, index) => ({
      ...asked,
      decision: evaluations?.[index]?.decision,
      reasons: evaluations?.[index]?.reasons,
    })),
    reasons: explained.reasons,
    upstream: explained.upstream,
  }
}

/** Everything that is not as expected; empty when all is. */
export const differences = (expected: Expected, explained: Explanation): readonly Difference[] => {
  const outcome = outcomeOf(explained)
  return Object.entries(expected).flatMap(([key, wanted]) => {
    const found = outcome[key as keyof Expected]
    if (wanted === undefined || fits(key, wanted, found)) return []
    const shown = Array.isArray(wanted) || !isMap(wanted) ? found : sameKeys(key, wanted, found)
    const why = key === 'decision' ? whyText(explained) : ''
    return [{ key, message: `${key}: expected ${text(wanted)}, found ${text(shown)}${why}` }]
  })
}

const whyText = ({ reasons, code, detail }: Explanation): string => {
  const parts = [
    code,
    ...(reasons.length > 0 ? [`by ${reasons.join(', ')}`] : []),
    ...(detail ? [detail] : []),
  ]
  return ` (${parts.join('; ')})`
}

const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Maps may have more keys than are expected; anything else must be the same. */
const fits = (key: string, wanted: unknown, found: unknown): boolean => {
  if (key === 'action' && typeof wanted === 'string') return isMap(found) && found.name === wanted
  if (key === 'reasons' && Array.isArray(wanted) && Array.isArray(found)) {
    return isDeepStrictEqual([...wanted].sort(), [...found].sort())
  }
  if (key === 'evaluations' && Array.isArray(wanted) && Array.isArray(found)) {
    return wanted.length === found.length && wanted.every((each, index) => fits('', each, found[index]))
  }
  if (!isMap(wanted)) return isDeepStrictEqual(wanted, found)
  if (!isMap(found)) return false
  return Object.entries(wanted).every(([name, value]) => {
    return value === undefined || (Object.hasOwn(found, name) && fits(name, value, found[name]))
  })
}

/** Only what was asked about, so that a line about it stays short. */
const sameKeys = (key: string, wanted: Readonly<Record<string, unknown>>, found: unknown): unknown => {
  if (!isMap(found) || key === 'action') return found
  return Object.fromEntries(
    Object.keys(wanted).flatMap((name) => (name in found ? [[name, found[name]]] : [])),
  )
}

const MAX_TEXT = 300

const text = (value: unknown): string => {
  const json = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'nothing')
  if (json === 'null') return 'nothing'
  return json.length > MAX_TEXT ? `${json.slice(0, MAX_TEXT)}…` : json
}
