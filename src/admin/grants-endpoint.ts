import type { Grant } from '../gateway/decide/grants/store.ts'
import type { AdminDeps } from './admin-deps.ts'
import { json, problem } from './answers.ts'
import type { AdminAnswer, Endpoint } from './endpoint.ts'

const FILTERS = ['subject', 'credential', 'session', 'task', 'resource', 'grant'] as const
type Filter = (typeof FILTERS)[number]

const DEFAULT_LIMIT = 100
const MAX_LIMIT = 1000

/** Grants that are live in this process. */
export const grantsEndpoint = ({ grants }: Pick<AdminDeps, 'grants'>): Endpoint => ({
  method: 'GET',
  path: '/v1/grants',
  permission: 'read',
  handle: ({ query }) => list(grants, query),
})

const list = (grants: AdminDeps['grants'], query: URLSearchParams): AdminAnswer => {
  const given = [...query.keys()]
  const expected = [...FILTERS, 'limit']
  if (given.some((name) => !expected.includes(name)) || new Set(given).size < given.length) {
    return problem(400, `expected each of ${expected.join(', ')} once at most`)
  }
  const limit = limitOf(query.get('limit'))
  if (limit === null) return problem(400, `limit: expected a whole number from 1 to ${MAX_LIMIT}`)
  const found = grants().filter((grant) =>
    FILTERS.every((name) => {
      const value = query.get(name)
      return value === null || fits(grant, name, value)
    }),
  )
  return json({ grants: found.slice(0, limit).map(grantJson), total: found.length })
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

const grantJson = ({ id, facts, decision, expiresAtMs }: Grant) => {
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
  }
}
