import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isRefusal } from '../../../src/core/refusals.ts'
import type { CanonicalRequest } from '../../../src/core/request.ts'
import { createTasks } from '../../../src/gateway/bind/tasks.ts'
import { questionOf } from '../decide/decide-world.ts'
import { manualClock } from '../decide/manual-clock.ts'

const requestOf = (task: string): CanonicalRequest =>
  ({ names: ['sallyport-task'], headers: ['Sallyport-Task', task] }) as unknown as CanonicalRequest

test('a task of somebody else is not begun here while its owner was not asked about', async () => {
  const { route, identity, bound } = questionOf()
  const asked: string[] = []
  const tasks = createTasks(manualClock(), {
    claim: (id, owner) => {
      asked.push(id)
      return Promise.resolve(id === 'of-bob' ? { ...owner, subject: '["User","bob"]' } : owner)
    },
  })
  assert.ok(identity !== null)
  const claim = (id: string) =>
    tasks.claim(requestOf(id), route, identity, () => new AbortController().signal)
  const attach = (id: string) => tasks.attach({ request: requestOf(id), route, path: {} }, identity, bound)
  for (let number = 0; number < 100; number += 1) assert.equal(await claim(`t${number}`), null)
  // Its body is still on its way, and meanwhile one of the hundred is completed.
  const claimed = await claim('of-bob')
  tasks.completed('t0')
  const outcome = claimed ?? attach('of-bob')
  assert.ok(isRefusal(outcome))
  assert.equal(outcome.refusal, 'rate_limited')
  assert.equal(await claim('of-bob'), null)
  assert.ok(asked.includes('of-bob'))
  const denied = attach('of-bob')
  assert.ok(isRefusal(denied))
  assert.equal(denied.refusal, 'denied')
})
