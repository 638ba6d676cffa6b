import assert from 'node:assert/strict'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { startHttpBackend } from '../support/backend.ts'
import { startCollector } from '../support/collector.ts'
import { type GatewayProcess, layOut, startGatewayProcess } from '../support/gateway.ts'
import { rawRequest } from '../support/raw-http.ts'
import { buildCity, type City, HOST, tokenOf } from './city.ts'
import { signingKey } from './workers-world.ts'

const TOKEN = 'collector-token-Zk3nB7vC1xQ9wE5rT2yU8iO4pA6sD0fG'

/** Waits for a condition, and fails when it does not come about in 30 s. */
const until = async (condition: () => boolean | Promise<boolean>): Promise<void> => {
  const deadlineMs = Date.now() + 30_000
  while (!(await condition())) {
    assert.ok(Date.now() < deadlineMs, `not within 30 s: ${condition}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** A gateway as a process of its own, whose only sink sends to a collector. */
const startWorld = async (t: TestContext, url: string, fields: string, workers = 1) => {
  const backend = await startHttpBackend((_request, response) => void response.end('ok'))
  t.after(() => backend.close())
  const city = await buildCity({
    upstream: backend.url,
    settings: {
      audit: `[{ type: http, url: "${url}", spool: ../spool, token: { env: COLLECTOR }, batchDelay: 20ms, maxRetryDelay: 50ms, ${fields} }]`,
      ...(workers > 1 && { workers: String(workers), assertion: '{ keyFile: assertion.jwk }' }),
    },
  })
  const directory = layOut({ ...city.world, 'config/assertion.jwk': signingKey() })
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const start = async (): Promise<GatewayProcess> => {
    const gateway = await startGatewayProcess(directory, { env: { ...city.env, COLLECTOR: TOKEN } })
    t.after(() => gateway.child.kill('SIGKILL'))
    return gateway
  }
  return { city, start, directory }
}

/** Status, and the decision id when there is one. */
const ask = async ({ port }: GatewayProcess, city: City, path = '/accounts/1') => {
  const head = `GET ${path} HTTP/1.1\r\nHost: ${HOST}\r\nAuthorization: Bearer ${tokenOf(city, 'alice')}\r\nConnection: close\r\n\r\n`
  const response = await rawRequest(port, head, { deadlineMs: 20_000 })
  return {
    status: response.status,
    id: response.header('sallyport-decision-id')[0],
    body: response.body.toString(),
  }
}

const metric = async ({ admin }: GatewayProcess, name: string): Promise<number> => {
  const text = await (await fetch(`http://${admin}/metrics`)).text()
  return Number(
    text
      .split('\n')
      .find((line) => line.startsWith(name))
      ?.split(' ')
      .at(-1),
  )
}

test('what a gateway recorded reaches a collector that was away, also when the gateway is killed in between', async (t) => {
  const away = await startCollector()
  await away.close()
  const { city, start } = await startWorld(t, away.url, 'redact: [subject.id], redactKey: { env: COLLECTOR }')
  const told: (string | undefined)[] = []
  const first = await start()
  for (let count = 0; count < 20; count += 1) {
    const { status, id } = await ask(first, city)
    assert.equal(status, 200)
    told.push(id)
  }
  assert.equal(await metric(first, 'sallyport_audit_spool_records'), 20)
  first.child.kill('SIGKILL')
  await first.ended
  const second = await start()
  told.push((await ask(second, city)).id)
  const remote = await startCollector({ port: away.port })
  t.after(() => remote.close())
  await until(async () => (await metric(second, 'sallyport_audit_spool_records')) === 0)
  assert.equal(await metric(second, 'sallyport_audit_delivered_total'), 21)
  assert.deepEqual(remote.taken(), told)
  const [batch] = remote.batches
  assert.equal(batch?.headers.authorization, `Bearer ${TOKEN}`)
  assert.match(batch?.text ?? '', /"subject":\{"type":"User","id":"hmac-sha256:/)
  assert.doesNotMatch(batch?.text ?? '', /alice/)
  assert.ok(!second.logLines.join().includes(TOKEN))
  told.push((await ask(second, city)).id)
  second.child.kill('SIGTERM')
  assert.equal(await second.ended, 0)
  assert.deepEqual(remote.taken(), told)
})

test('a full spool refuses what has to be recorded, until the collector is back', async (t) => {
  const away = await startCollector()
  await away.close()
  const { city, start } = await startWorld(t, away.url, 'spoolBytes: 16384')
  const gateway = await start()
  const seen: (string | undefined)[] = []
  let last = await ask(gateway, city)
  while (last.status === 200) {
    seen.push(last.id)
    assert.ok(seen.length < 100)
    last = await ask(gateway, city)
  }
  assert.equal(last.status, 503)
  assert.equal(JSON.parse(last.body).code, 'audit_unavailable')
  assert.ok((await metric(gateway, 'sallyport_audit_records_total{sink="audit[0]",result="failed"}')) > 0)
  const remote = await startCollector({ port: away.port })
  t.after(() => remote.close())
  await until(async () => (await ask(gateway, city)).status === 200)
  await until(() => remote.taken().length > seen.length)
  assert.deepEqual(remote.taken().slice(0, seen.length), seen)
})

test('a full spool that is not required lets requests pass, and counts what it dropped', async (t) => {
  const away = await startCollector()
  await away.close()
  const { city, start } = await startWorld(t, away.url, 'spoolBytes: 4096, required: false')
  const gateway = await start()
  for (let count = 0; count < 20; count += 1) assert.equal((await ask(gateway, city)).status, 200)
  const dropped = await metric(gateway, 'sallyport_audit_records_total{sink="audit[0]",result="dropped"}')
  assert.equal(dropped + (await metric(gateway, 'sallyport_audit_spool_records')), 20)
  assert.ok(dropped > 10)
})

test('a sink that is filtered gets only what its filter names', async (t) => {
  const remote = await startCollector()
  t.after(() => remote.close())
  const { city, start } = await startWorld(t, remote.url, 'filter: { codes: [no_route] }')
  const gateway = await start()
  assert.equal((await ask(gateway, city)).status, 200)
  const { status, id } = await ask(gateway, city, '/nowhere')
  assert.equal(status, 404)
  await until(() => remote.taken().length > 0)
  assert.deepEqual(remote.taken(), [id])
})

test('several workers have a spool each, and the collector gets the records of all', async (t) => {
  const remote = await startCollector()
  t.after(() => remote.close())
  const { city, start, directory } = await startWorld(t, remote.url, 'required: true', 2)
  const gateway = await start()
  const told: (string | undefined)[] = []
  for (let count = 0; count < 10; count += 1) {
    const { status, id } = await ask(gateway, city)
    assert.equal(status, 200)
    told.push(id)
  }
  await until(() => remote.taken().length === told.length)
  assert.deepEqual([...remote.taken()].sort(), [...told].sort())
  assert.deepEqual(
    readdirSync(directory)
      .filter((name) => name.startsWith('spool'))
      .sort(),
    ['spool.0', 'spool.1'],
  )
})

test('an edit that sends records elsewhere takes along what was not delivered', async (t) => {
  const away = await startCollector()
  await away.close()
  const { city, start, directory } = await startWorld(t, away.url, 'required: true')
  const gateway = await start()
  const told = [(await ask(gateway, city)).id]
  const remote = await startCollector()
  t.after(() => remote.close())
  const file = join(directory, 'config/sallyport.yaml')
  writeFileSync(file, readFileSync(file, 'utf8').replace(away.url, remote.url))
  gateway.child.kill('SIGHUP')
  await until(() => remote.taken().length > 0)
  told.push((await ask(gateway, city)).id)
  await until(() => remote.taken().length === 2)
  assert.deepEqual(remote.taken(), told)
})
