import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { verifyLogs } from '../../src/gateway/record/verify.ts'
import { layOut } from '../support/gateway.ts'
import { rawRequest } from '../support/raw-http.ts'
import { get, policy } from './live-world.ts'
import { ADMIN_TOKEN, type AdminReply, startWorkers, until, workersFiles } from './workers-world.ts'

const BIN = fileURLToPath(new URL('../../../bin/sallyport', import.meta.url))

test('several workers share the listener, each with a chain of its own, and one admin port answers for all', async (t) => {
  const { gateway, statuses, records, ask, logs } = await startWorkers(t, 3)
  assert.deepEqual(await statuses('/things/one'), new Set([200]))
  const all = records().flat()
  assert.equal(new Set(all.map(({ writer }) => writer)).size, 3)

  const { json: found } = await ask('/v1/decisions?limit=1000')
  assert.deepEqual(
    new Set(listOf<{ id: string }>(found, 'decisions').map(({ id }) => id)),
    new Set(all.map(({ id }) => id)),
  )
  for (const [record] of records()) {
    assert.equal((await ask(`/v1/decisions/${record?.id}`)).json?.id, record?.id)
  }
  assert.equal((await ask('/v1/decisions/no-such-id')).status, 404)
  const metrics = await ask('/metrics')
  assert.match(metrics.text, /^sallyport_decisions_total\{.*code="allowed".*source="engine".*\} 3$/m)
  assert.match(metrics.text, /^sallyport_ready 1$/m)
  assert.match(metrics.text, /^sallyport_workers_ready 3$/m)
  assert.equal(listOf((await ask('/v1/audit/heads')).json, 'heads').length, 3)
  assert.equal((await ask('/v1/config')).json?.rejected, null)
  assert.equal((await ask('/readyz')).status, 200)
  assert.equal((await ask('/v1/decisions', { headers: {} })).status, 401)
  const explained = await ask('/v1/explain', {
    method: 'POST',
    headers: { authorization: 'Bearer the-token-of-this-test', 'content-type': 'application/json' },
    body: JSON.stringify({ method: 'GET', url: 'http://app/things/one' }),
  })
  assert.equal(explained.json?.route, 'read')

  gateway.child.kill('SIGTERM')
  assert.equal(await gateway.ended, 0)
  const verified = await verifyLogs(logs, { heads: [], from: [] })
  assert.ok(!('unreadable' in verified))
  assert.deepEqual([verified.findings, verified.chains.length], [[], 3])
})

test('a worker that is killed is replaced while the others serve, and goes on with its chain', async (t) => {
  const { gateway, statuses, ask, logs } = await startWorkers(t, 2)
  await statuses('/things/one')
  process.kill(workerPid(gateway.child.pid), 'SIGKILL')
  await until(
    () => ask('/metrics'),
    ({ text }) =>
      /^sallyport_worker_restarts_total 1$/m.test(text) && /^sallyport_workers_ready 2$/m.test(text),
  )
  assert.deepEqual(await statuses('/things/one'), new Set([200]))
  assert.ok(gateway.logLines.some((line) => line.includes('a worker has ended')))
  gateway.child.kill('SIGTERM')
  assert.equal(await gateway.ended, 0)
  const verified = await verifyLogs(logs, { heads: [], from: [] })
  assert.ok(!('unreadable' in verified))
  assert.deepEqual(verified.findings, [])
})

test('an edit reaches all workers, by itself or on SIGHUP, and a bad one none of them', async (t) => {
  const { gateway, directory, statuses, ask } = await startWorkers(t, 2)
  const versionOf = async () => (await ask('/v1/config')).json?.version
  const first = await versionOf()
  writeFileSync(join(directory, 'policies/main.cedar'), policy('one', 'two'))
  await until(versionOf, (version) => version !== first)
  assert.deepEqual(await statuses('/things/two'), new Set([200]))

  const second = await versionOf()
  writeFileSync(join(directory, 'policies/main.cedar'), 'no policy')
  gateway.child.kill('SIGHUP')
  const { json } = await until(
    () => ask('/v1/config'),
    (reply) =>
      listOf<{ rejected: unknown }>(reply.json, 'workers').every(({ rejected }) => rejected !== null),
  )
  assert.equal(json?.version, second)
  assert.notEqual(json?.rejected, null)
  assert.deepEqual(await statuses('/things/two'), new Set([200]))
})

test('decisions of all workers come by one stream of events', async (t) => {
  const { gateway, statuses, records } = await startWorkers(t, 2)
  const stream = await fetch(`http://${gateway.admin}/v1/decisions/stream`, {
    headers: { authorization: 'Bearer the-token-of-this-test' },
  })
  const reader = stream.body?.pipeThrough(new TextDecoderStream()).getReader()
  assert.ok(reader)
  // Both workers have begun to tell.
  let text = ''
  while ((text.match(/: decisions follow/g) ?? []).length < 2) text += (await reader.read()).value
  await statuses('/things/one')
  const ids = records()
    .flat()
    .map(({ id }) => id)
  while (!ids.every((id) => text.includes(`id: ${id}\n`))) text += (await reader.read()).value
  await reader.cancel()
})

test('a draft is tried on what all workers have recorded', async (t) => {
  const world = await startWorkers(t, 2)
  await world.statuses('/things/one')
  await world.statuses('/things/two')
  const replay = async (body: object) => {
    const { status, json } = await world.ask('/v1/replay', {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    })
    assert.equal(status, 200)
    return json ?? {}
  }
  const recorded = world.records()
  const idsOf = (decision: string): readonly string[] =>
    recorded
      .flat()
      .filter((record) => record.decision === decision)
      .map(({ id }) => String(id))
      .sort()
  assert.ok(recorded.every((each) => each.length >= 2))
  const answer = await replay({ files: { '../policies/main.cedar': policy('two') } })
  assert.deepEqual([answer.newlyAllowed, answer.newlyDenied], [idsOf('deny'), idsOf('allow')])
  assert.equal(answer.records, recorded.flat().length)
  assert.equal(
    answer.bytes,
    world.logs.reduce((sum, log) => sum + statSync(log).size, 0),
  )
  // Of less than all, something of each.
  const bytes = Math.max(...world.logs.map((log) => Math.ceil(statSync(log).size * 1.5)))
  const some = Object(await replay({ bytes })).unchanged as readonly string[]
  for (const each of recorded) assert.ok(each.some(({ id }) => some.includes(String(id))))
})

test('several workers without a key that they share are a mistake', (t) => {
  const run = serveOnce(t, { 'config/sallyport.yaml': (text) => text.replace(/^assertion: .*$/m, '') })
  assert.equal(run.status, 2)
  assert.match(run.stderr, /assertion\.keyFile/)
})

test('workers that cannot listen end the process with what is wrong', async (t) => {
  const { gateway } = await startWorkers(t, 2)
  const run = serveOnce(t, {
    'config/sallyport.yaml': (text) =>
      text.replace(
        'listeners: [{ bind: "127.0.0.1:0" }]',
        `listeners: [{ bind: "127.0.0.1:${gateway.port}" }]`,
      ),
  })
  assert.equal(run.status, 2)
  assert.match(run.stderr, /cannot listen/)
  assert.equal((await rawRequest(gateway.port, get('/things/one'))).status, 200)
})

const serveOnce = (t: TestContext, changes: Readonly<Record<string, (text: string) => string>>) => {
  const files = workersFiles('http://127.0.0.1:9', 2)
  const changed = Object.entries(files).map(([path, text]) => [path, changes[path]?.(text) ?? text])
  const directory = layOut(Object.fromEntries(changed))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return spawnSync(process.execPath, [BIN, 'serve', '--config', join(directory, 'config/sallyport.yaml')], {
    env: { ...process.env, ADMIN_TOKEN: 'x' },
    encoding: 'utf8',
    timeout: 60_000,
  })
}

/** A list in an answer, empty when there is none. */
const listOf = <T>(answer: AdminReply['json'], key: string): readonly T[] => {
  const list = answer?.[key]
  return Array.isArray(list) ? list : []
}

/** The first process that this one has started. */
const workerPid = (parent: number | undefined): number => {
  const { stdout } = spawnSync('pgrep', ['-P', String(parent)], { encoding: 'utf8' })
  return Number(stdout.split('\n')[0])
}
