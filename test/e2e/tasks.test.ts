import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestGateway } from '../support/gateway.ts'
import { type RawResponse, rawRequest } from '../support/raw-http.ts'
import { ADMIN_TOKEN, endOf, openDownload, startStreams, tokenOf } from './streams-world.ts'

const ONE = 'evaluation: { action: read, resource: { type: Thing, id: one } }'

const ROUTES = `owner: team
defaults: { upstream: app, engine: main, authenticate: [staff], grant: { ttl: 1h } }
routes:
  - { name: work, match: "GET /done/{id}", ${ONE}, task: { required: true } }
  - { name: quick, match: "GET /done/{id}/quick", ${ONE}, task: { required: true, maxLife: 1s } }
  - { name: any, match: "GET /done/{id}/any", ${ONE} }
  - { name: events, match: "GET /events/{id}", ${ONE}, stream: { recheck: 1h } }
  - { name: brief, match: "GET /events/{id}/brief", ${ONE}, stream: { recheck: 1h }, task: { maxLife: 2s } }
`

const start = async (t: Parameters<typeof startStreams>[0]) =>
  (await startStreams(t, { routes: ROUTES })).gateway

/** The same for every request of a subject: a grant is for one credential. */
const tokens = new Map<string, Promise<string>>()

/** @param task values of `Sallyport-Task`. */
const ask = async (
  { port }: TestGateway,
  path: string,
  sub: string,
  ...task: readonly string[]
): Promise<RawResponse> => {
  const token = tokens.get(sub) ?? tokenOf(sub)
  tokens.set(sub, token)
  const fields = task.map((id) => `Sallyport-Task: ${id}\r\n`).join('')
  return await rawRequest(
    port,
    `GET ${path} HTTP/1.1\r\nHost: app\r\nAuthorization: Bearer ${await token}\r\n${fields}\r\n`,
  )
}

const status = async (...args: Parameters<typeof ask>): Promise<number> => (await ask(...args)).status

const complete = async ({ admin }: TestGateway, id: string): Promise<number> => {
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}` }
  return (await fetch(`http://${admin}/v1/tasks/${id}/complete`, { method: 'POST', headers })).status
}

test('a task is in the question and bound to its subject, and a route may require one', async (t) => {
  const gateway = await start(t)
  assert.equal(await status(gateway, '/done/else', 'alice'), 400)
  assert.equal(await status(gateway, '/done/else', 'alice', 't1'), 200)
  assert.equal(await status(gateway, '/done/else', 'alice', 't1'), 200)
  assert.deepEqual(gateway.records().at(-1)?.context, { task: { id: 't1' } })
  assert.equal(gateway.records().at(-1)?.source, 'grant')
  assert.equal(await status(gateway, '/done/else', 'alice', 't2'), 200)
  assert.equal(gateway.records().at(-1)?.source, 'engine')
  assert.equal(await status(gateway, '/done/else', 'bob', 't1'), 403)
  assert.equal(await status(gateway, '/done/else/any', 'bob', 't1'), 403)
  assert.equal(await status(gateway, '/done/else/any', 'bob'), 200)
  for (const bad of ['', 'a b', '../t1', 'x'.repeat(200), 't\u00e9']) {
    assert.equal(await status(gateway, '/done/else', 'alice', bad), 400, bad)
  }
  assert.equal(await status(gateway, '/done/else', 'alice', 't1', 't1'), 400)
})

test('a completed task cannot be used again, and what it has open ends', async (t) => {
  const gateway = await start(t)
  assert.equal(await status(gateway, '/done/else', 'alice', 't1'), 200)
  const token = await tokenOf('alice')
  const events = await openDownload(gateway, '/events/one', token, { 'sallyport-task': 't1' })
  const others = await openDownload(gateway, '/events/one', token, { 'sallyport-task': 't2' })
  assert.equal(await complete(gateway, 't1'), 200)
  assert.equal(await events.ended, 'complete')
  assert.equal((await endOf(gateway, 'events')).stream.reason, 'revoked')
  assert.equal(await status(gateway, '/done/else', 'alice', 't1'), 403)
  assert.equal(await status(gateway, '/done/else/any', 'alice', 't1'), 403)
  assert.equal(await status(gateway, '/done/else', 'alice', 't2'), 200)
  others.response.destroy()
  assert.equal(await complete(gateway, 'a%20b'), 400)
})

test('an application completes the task of the very request that it answers, and no other', async (t) => {
  const gateway = await start(t)
  assert.equal(await status(gateway, '/done/t2', 'alice', 't1'), 200)
  assert.equal(await status(gateway, '/done/else', 'alice', 't2'), 200)
  const last = await ask(gateway, '/done/t1', 'alice', 't1')
  assert.deepEqual(
    [last.status, last.body.toString(), last.header('sallyport-task-complete')],
    [200, 'done', []],
  )
  assert.equal(await status(gateway, '/done/else', 'alice', 't1'), 403)
  assert.equal(await status(gateway, '/done/else', 'alice', 't2'), 200)
})

test('a task ends at its deadline, with what it has open', async (t) => {
  const gateway = await start(t)
  assert.equal(await status(gateway, '/done/else/quick', 'alice', 't1'), 200)
  const events = await openDownload(gateway, '/events/one/brief', await tokenOf('alice'), {
    'sallyport-task': 't3',
  })
  assert.equal(await events.ended, 'complete')
  assert.equal((await endOf(gateway, 'brief')).stream.reason, 'task_over')
  assert.equal(await status(gateway, '/done/else/quick', 'alice', 't1'), 403)
  assert.equal(await status(gateway, '/done/else', 'alice', 't1'), 200)
})

test('a subject can have so many tasks at a time, and explaining one begins none', async (t) => {
  const gateway = await start(t)
  for (let count = 0; count < 100; count += 1) {
    assert.equal(await status(gateway, '/done/else', 'alice', `t${count}`), 200)
  }
  assert.equal(await status(gateway, '/done/else', 'alice', 'one-more'), 429)
  assert.equal(await complete(gateway, 't7'), 200)
  assert.equal(await status(gateway, '/done/else', 'alice', 'one-more'), 200)
  const reply = await fetch(`http://${gateway.admin}/v1/explain`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      method: 'GET',
      url: 'http://app/done/else',
      claims: { sub: 'carol' },
      headers: { 'Sallyport-Task': 'explained' },
    }),
  })
  assert.equal(reply.status, 200, await reply.text())
  assert.equal(await status(gateway, '/done/else', 'bob', 'explained'), 200)
})
