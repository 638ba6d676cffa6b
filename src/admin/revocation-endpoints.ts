import type { AdminDeps } from './admin-deps.ts'
import { json, problem } from './answers.ts'
import type { AdminAnswer, AdminRequest, Endpoint } from './endpoint.ts'
import { markJson, readMarkDraft, whyNot } from './mark-json.ts'

type Deps = Pick<AdminDeps, 'feed' | 'clock'>

/** What was taken back: to be seen, added to, and withdrawn. */
export const revocationEndpoints = (deps: Deps): readonly Endpoint[] => [
  { method: 'GET', path: '/v1/revocations', permission: 'read', handle: () => list(deps) },
  { method: 'POST', path: '/v1/revocations', permission: 'revoke', handle: (asked) => publish(deps, asked) },
  {
    method: 'DELETE',
    path: '/v1/revocations',
    permission: 'revoke',
    handle: ({ query, caller }) => withdraw(deps, query.get('id') ?? '', caller),
  },
  {
    method: 'DELETE',
    path: '/v1/revocations/{id}',
    permission: 'revoke',
    handle: ({ parameter, caller }) => withdraw(deps, parameter, caller),
  },
]

const list = ({ feed }: Deps): AdminAnswer => {
  const { freshness, staleMs, position, applied } = feed.status()
  return json({
    revocations: feed.list().map(markJson),
    feed: { freshness, staleMs: Math.round(staleMs), position, applied },
  })
}

const publish = async ({ feed, clock }: Deps, { body, caller }: AdminRequest): Promise<AdminAnswer> => {
  const draft = readMarkDraft(body, caller, clock.nowMs())
  if ('mistake' in draft) return problem(400, draft.mistake)
  const published = await feed.publish(draft)
  if ('failed' in published) return problem(503, whyNot('nothing was revoked', published))
  const { mark, replicas, warning } = published
  return json({ ...markJson(mark), replicas, ...(warning === undefined ? {} : { warning }) }, 201)
}

const withdraw = async ({ feed }: Deps, id: string, by: string): Promise<AdminAnswer> => {
  if (id === '') return problem(400, 'expected /v1/revocations/<id>')
  const withdrawn = await feed.withdraw(id, by)
  if (withdrawn === null) return problem(404, 'no mark in force has this id')
  if ('failed' in withdrawn) return problem(503, whyNot('not withdrawn', withdrawn))
  const { mark, warning } = withdrawn
  return json({ ...markJson(mark), withdrawnBy: by, ...(warning === undefined ? {} : { warning }) })
}
