import type { JsonObject, JsonValue } from '../../core/json.ts'
import { json, problem } from '../answers.ts'
import type { PlainAnswer } from '../endpoint.ts'
import type { WorkerAnswer } from './ask-worker.ts'
import { mergeMetrics } from './merge-metrics.ts'

/** What is known of the workers beside their answers. */
export interface WorkersOverview {
  readonly count: number
  /** Why requests are not taken by all of them; empty when they are. */
  readonly missing: readonly string[]
  /** Workers that ended without being told to, since the start. */
  readonly restarts: number
}

/** Makes one answer of all; every one of them is 200, unless it is `mergeReadiness`. */
export type Merge = (
  answers: readonly WorkerAnswer[],
  overview: WorkersOverview,
  query: URLSearchParams,
) => PlainAnswer

const objectOf = ({ text }: WorkerAnswer): JsonObject => {
  // Workers are of this very version, and answer with objects.
  const value = JSON.parse(text) as JsonValue
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : {}
}

const listIn = (answer: WorkerAnswer, key: string): readonly JsonObject[] => {
  const list = objectOf(answer)[key]
  return Array.isArray(list) ? (list as readonly JsonObject[]) : []
}

export const mergeReadiness: Merge = (answers, { missing }) => {
  const reasons = [
    ...missing,
    ...answers.flatMap((answer) => {
      const { reasons: own = [] } = objectOf(answer)
      return Array.isArray(own) ? own.map((reason) => `worker ${answer.index}: ${String(reason)}`) : []
    }),
  ]
  return reasons.length === 0 && answers.length > 0
    ? json({ status: 'ready', reasons })
    : json({ status: 'not ready', reasons }, 503)
}

export const mergeMetricsAnswers: Merge = (answers, { count, restarts }) => {
  const own = [
    '# HELP sallyport_workers Processes that serve, as many as there should be.',
    '# TYPE sallyport_workers gauge',
    `sallyport_workers ${count}`,
    '# HELP sallyport_workers_ready Those of them that are ready.',
    '# TYPE sallyport_workers_ready gauge',
    `sallyport_workers_ready ${answers.length}`,
    '# HELP sallyport_worker_restarts_total Workers that ended without being told to.',
    '# TYPE sallyport_worker_restarts_total counter',
    `sallyport_worker_restarts_total ${restarts}`,
    '',
  ].join('\n')
  const contentType = headerOf(answers[0], 'content-type') ?? 'text/plain; version=0.0.4; charset=utf-8'
  return { status: 200, contentType, text: `${mergeMetrics(answers.map(({ text }) => text))}\n${own}` }
}

/** What all of them run; while they differ, the oldest, so that a new version is seen when everybody has it. */
export const mergeConfigStatus: Merge = (answers) => {
  const all = answers.map((answer) => ({ worker: answer.index, ...objectOf(answer) }) as JsonObject)
  const byAge = [...all].sort((left, right) => (String(left.appliedAt) < String(right.appliedAt) ? -1 : 1))
  const [oldest = {}] = byAge
  const refused = all.find(({ rejected }) => rejected !== null && rejected !== undefined)
  const isOne = new Set(all.map(({ version }) => version)).size === 1
  const newest = byAge.at(-1) ?? oldest
  return json({
    version: oldest.version,
    appliedAt: isOne ? newest.appliedAt : oldest.appliedAt,
    rejected: refused?.rejected ?? null,
    workers: all,
  })
}

/** Of lists of decisions, and of grants. */
const DEFAULT_LIMIT = 100

/** Ids are made in the order of time. */
export const mergeDecisions: Merge = (answers, _overview, query) => {
  const limit = Number(query.get('limit') ?? DEFAULT_LIMIT)
  const decisions = answers
    .flatMap((answer) => listIn(answer, 'decisions'))
    .sort((left, right) => (String(left.id) < String(right.id) ? 1 : -1))
  const complete = answers.every((answer) => objectOf(answer).complete === true)
  return json({ decisions: decisions.slice(0, limit), complete: complete && decisions.length <= limit })
}

/** Everything that any of them has in the list of this name. */
export const mergeList =
  (key: string): Merge =>
  (answers) =>
    json({ ...objectOf(answers[0] ?? NOTHING), [key]: answers.flatMap((answer) => listIn(answer, key)) })

/** Each grant once, as the worker tells it that has it in memory. `total` is exact unless some were cut off. */
export const mergeGrants: Merge = (answers, _overview, query) => {
  const all = answers.flatMap((answer) => listIn(answer, 'grants'))
  const byId = new Map(all.map((grant) => [grant.id, grant]))
  for (const grant of all) if (grant.source === 'grant') byId.set(grant.id, grant)
  const totals = answers.map((answer) => Number(objectOf(answer).total))
  const grants = [...byId.values()].slice(0, Number(query.get('limit') ?? DEFAULT_LIMIT))
  const { shared = 'none' } = objectOf(answers[0] ?? NOTHING)
  return json({ grants, total: Math.max(byId.size, ...totals), shared })
}

const NOTHING: WorkerAnswer = { index: 0, status: 200, rawHeaders: [], text: '{}' }

/** The answer of the one that has it; else that of one which cannot tell. */
export const firstFound = (answers: readonly WorkerAnswer[]): WorkerAnswer | PlainAnswer =>
  answers.find(({ status }) => status === 200) ??
  answers.find(({ status }) => status !== 404) ??
  answers[0] ??
  problem(503, 'no worker is ready')

export const headerOf = (answer: WorkerAnswer | undefined, wanted: string): string | null => {
  const headers = answer?.rawHeaders ?? []
  for (let index = 0; index < headers.length; index += 2) {
    if (headers[index]?.toLowerCase() === wanted) return headers[index + 1] ?? null
  }
  return null
}
