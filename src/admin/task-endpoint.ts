import { isTaskId } from '../gateway/bind/tasks.ts'
import type { AdminDeps } from './admin-deps.ts'
import { json, problem } from './answers.ts'
import type { Endpoint } from './endpoint.ts'
import { markJson, whyNot } from './mark-json.ts'

/** A task is done: its grants end everywhere, and it cannot be used again. */
export const taskEndpoint = ({ feed }: Pick<AdminDeps, 'feed'>): Endpoint => ({
  method: 'POST',
  path: '/v1/tasks/{id}/complete',
  permission: 'revoke',
  handle: async ({ parameter: id, caller }) => {
    if (!isTaskId(id)) return problem(400, 'expected the id of a task')
    const draft = { kind: 'task', target: id, effect: 'grants', reason: 'completed', by: caller } as const
    const published = await feed.publish(draft)
    if ('failed' in published) return problem(503, whyNot('not completed', published))
    const { mark, replicas, warning } = published
    return json({ task: id, ...markJson(mark), replicas, ...(warning === undefined ? {} : { warning }) })
  },
})
