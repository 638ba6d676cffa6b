import type { Grant, SharedFilter } from '../gateway/decide/grants/store.ts'
import type { AdminDeps } from './admin-deps.ts'
import { json, problem } from './answers.ts'
import type { AdminAnswer, Endpoint } from './endpoint.ts'

const FILTERS = ['subject', 'credential', 'session', 'task', 'resource', 'grant'] as const
type Filter = (typeof FILTERS)[number]

const DEFAULT_LIMIT = 100
const MAX_LIMIT = 1000

/** By which what is shared can be found, that which finds the fewest first. */
const SHARED_FILTERS: readonly SharedFilter[] = ['grant', 'task', 'subject', 'resource']

type Deps = Pick<AdminDeps, 'grants' | 'sharedGrants' | 'feed' | 'clock'>

/** Grants that are live in this process, and those that it would find in Redis. */
export const grantsEndpoint = (deps: Deps): Endpoint => ({
  method: 'GET',
  path: '/v1/grants',
  permission: 'read',
  handle: ({ query }) => list(deps, query),
})

const list = async (deps: Deps, query: URLSearchParams): Promise<AdminAnswer> => {
  const given = [...query.keys()]
  const expected = [...FILTERS, 'limit']
  if (given.some((name) => !expected.includes(name)) || new Set(given).size < given.length) {
    return problem(400, `expected each of ${expected.join(', ')} once at most`)
  }
  const limit = limitOf(query.get('limit'))
  if (limit === null) return problem(400, `limit: expected a whole number from 1 to ${MAX_LIMIT}`)
  const isWanted = (grant: Grant): boolean =>
    FILTERS.every((name) => {
      const value = query.get(name)
      return value === null || fits(grant, name, value)
    })
  const own = deps.grants().filter(isWanted)
  const ownIds = new Set(own.map(({ id }) => id))
  const { shared, found } = await findShared(deps, query)
  const others = found.filter((grant) => isWanted(grant) && !ownIds.has(grant.id))
  const rows = [
    ...own.map((grant) => grantJson(grant, 'grant')),
    ...others.map((grant) => grantJson(grant, 'grant-shared')),
  ]
  return json({ grants: rows.slice(0, limit), total: rows.length, shared })
}

/** What became of the look into Redis. */
type SharedAnswer = 'none' | 'listed' | 'needs_filter' | 'unavailable'

const findShared = async (
  { sharedGrants, feed, clock }: Deps,
  query: URLSearchParams,
): Promise<{ readonly shared: SharedAnswer; readonly found: readonly Grant[] }> => {
  const find = sharedGrants()
  if (find === null) return { shared: 'none', found: [] }
  const kind = SHARED_FILTERS.find((name) => query.has(name))
  if (kind === undefined) return { shared: 'needs_filter', found: [] }
  const found = await find(kind, query.get(kind) ?? '')
  if (found === null) return { shared: 'unavailable', found: [] }
  const isLive = ({ expiresAtMs, facts, held }: Grant): boolean =>
    expiresAtMs > clock.nowMs() && !feed.voids(facts, held)
  return { shared: 'listed', found: found.filter(isLive) }
}

const limitOf = (text: string | null): number | null => {
  if (text === null) return DEFAULT_LIMIT
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0
  return limit >= 1 && limit <= MAX_LIMIT ? limit : null
}

const fits = ({ id, facts }: Grant, name: Filter, value: string): boolean => {
  if (name === 'resource') return facts.resources.includes(value)
  return name === 'grant' ? id === value : facts[name] === value
}

/** @param source by which a request would be served here. */
const grantJson = ({ id, facts, decision, expiresAtMs }: Grant, source: 'grant' | 'grant-shared') => {
  const { subject, credential, session, task, resources } = facts
  return {
    id,
    decision: decision.decision,
    subject,
    credential,
    ...(session === undefined ? {} : { session }),
    ...(task === undefined ? {} : { task }),
    resources,
    reasons: decision.reasons,
    policyVersion: decision.policyVersion,
    expires: new Date(expiresAtMs).toISOString(),
    source,
  }
}
