import type { AdminDeps } from '../admin-deps.ts'
import { json, problem } from '../answers.ts'
import type { AdminAnswer, AdminRequest, Endpoint, PlainAnswer } from '../endpoint.ts'
import {
  type DecisionFilter,
  FILTER_NAMES,
  type FilterTexts,
  readFilter,
  recordedAtMs,
} from './decision-filter.ts'
import { parseRecord } from './decision-reader.ts'
import type { DecisionRing } from './decision-ring.ts'
import { type StreamTimes, streamDecisions } from './decision-stream.ts'

const DEFAULT_LIMIT = 100
const MAX_LIMIT = 1000
const MAX_STREAMS = 32

const TOO_MANY = problem(503, 'too many searches or streams are under way, try again later', [
  'Retry-After',
  '2',
])

/** What the streams of an admin port have in common. */
export interface Streams {
  /** Ends of those that are under way. */
  readonly open: Set<() => void>
  /** For tests. */
  readonly times?: StreamTimes
}

/** What was decided: a page of it, one by its id, and what is decided from now on. */
export const decisionEndpoints = (
  deps: Pick<AdminDeps, 'ring' | 'archive' | 'clock'>,
  streams: Streams,
): readonly Endpoint[] => [
  { method: 'GET', path: '/v1/decisions', permission: 'read', handle: (asked) => search(deps, asked) },
  { method: 'GET', path: '/v1/decisions/{id}', permission: 'read', handle: (asked) => findOne(deps, asked) },
  { method: 'GET', path: '/v1/decisions/stream', permission: 'read', handle: streaming(deps, streams) },
]

const search = async (
  { archive, clock }: Pick<AdminDeps, 'archive' | 'clock'>,
  { query, signal }: AdminRequest,
): Promise<AdminAnswer> => {
  const read = readQuery(query, [...FILTER_NAMES, 'limit'], clock.nowMs())
  if ('status' in read) return read
  const limit = readLimit(query.get('limit'))
  if (limit === null) return problem(400, `limit: expected a whole number from 1 to ${MAX_LIMIT}`)
  const found = await archive.search(read.filter, limit, signal)
  return found === null ? TOO_MANY : json(found)
}

const readLimit = (text: string | null): number | null => {
  if (text === null) return DEFAULT_LIMIT
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0
  return limit >= 1 && limit <= MAX_LIMIT ? limit : null
}

const findOne = async (
  { archive }: Pick<AdminDeps, 'archive'>,
  { parameter, query, signal }: AdminRequest,
): Promise<AdminAnswer> => {
  const mistake = unexpectedIn(query, [])
  if (mistake !== null) return problem(400, mistake)
  const found = await archive.find(parameter, signal)
  if (found === null) return TOO_MANY
  const [record] = found.decisions
  if (record !== undefined) return json(record)
  return problem(
    404,
    found.complete
      ? 'no decision has this id'
      : 'no decision that can be looked up here has this id; older ones are in the files of the decision log',
  )
}

const streaming = (
  { ring, clock }: Pick<AdminDeps, 'ring' | 'clock'>,
  { open, times }: Streams,
): Endpoint['handle'] => {
  return ({ query, headers, isStillAllowed }) => {
    const read = readQuery(query, FILTER_NAMES, clock.nowMs())
    if ('status' in read) return read
    if (open.size >= MAX_STREAMS) return TOO_MANY
    const lastId = headers['last-event-id']
    const position = positionIn(ring, typeof lastId === 'string' ? lastId : null, read.filter)
    return {
      stream: (response) => {
        const end = streamDecisions(response, {
          ring,
          filter: read.filter,
          ...position,
          isStillAllowed,
          onEnd: () => open.delete(end),
          ...(times && { times }),
        })
        open.add(end)
      },
    }
  }
}

/** After the last one that the reader has, at `since`, or with what comes next. */
const positionIn = (
  ring: DecisionRing,
  lastId: string | null,
  { sinceMs }: DecisionFilter,
): { readonly from: number; readonly gap: boolean } => {
  if (lastId !== null && lastId !== '') {
    const last = ring.find(lastId)
    return last === null ? { from: ring.start(), gap: true } : { from: last + 1, gap: false }
  }
  if (sinceMs === undefined) return { from: ring.end(), gap: false }
  const oldest = parseRecord(ring.at(ring.start())?.line ?? '')
  // Whether there was anything before this process's first record is not known here.
  return { from: ring.start(), gap: oldest !== null && ring.start() > 0 && recordedAtMs(oldest) > sinceMs }
}

const readQuery = (
  query: URLSearchParams,
  names: readonly string[],
  nowMs: number,
): { readonly filter: DecisionFilter } | PlainAnswer => {
  const unexpected = unexpectedIn(query, names)
  if (unexpected !== null) return problem(400, unexpected)
  const texts: FilterTexts = Object.fromEntries(
    FILTER_NAMES.flatMap((name) => {
      const text = query.get(name)
      return text === null ? [] : [[name, text]]
    }),
  )
  const read = readFilter(texts, nowMs)
  return 'mistake' in read ? problem(400, read.mistake) : read
}

/** A filter that was misspelt and left out would show too much. */
const unexpectedIn = (query: URLSearchParams, names: readonly string[]): string | null => {
  const given = [...query.keys()]
  const expected = names.length === 0 ? 'none' : names.join(', ')
  if (given.some((name) => !names.includes(name))) return `found an unknown parameter, expected ${expected}`
  if (new Set(given).size < given.length) return 'found a parameter twice, expected each once'
  return null
}
