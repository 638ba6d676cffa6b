import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'
import { openRaw } from '../support/raw-http.ts'
import { eventually, type ServerProcess, startServerProcess } from '../support/server-process.ts'
import { get, KEY, world } from './live-world.ts'

const closers: (() => Promise<void>)[] = []
after(async () => {
  for (const close of closers.reverse()) await close()
})

/** An application in a process of its own, which says its number; what is posted is read to the end. */
const APPLICATION = `
const [, port, name] = process.argv
require('node:http').createServer((request, response) => {
  request.on('data', () => {}).on('end', () => response.end(name))
}).listen(Number(port), '127.0.0.1')
`

const startOrigin = async (name: string, port?: number): Promise<ServerProcess> => {
  const origin = await startServerProcess({
    command: process.execPath,
    args: (at) => ['-e', APPLICATION, '--', String(at), name],
    healthPath: '/',
    ...(port === undefined ? {} : { port }),
  })
  closers.push(origin.kill)
  return origin
}

const start = async (origins: readonly ServerProcess[], more: string): Promise<TestGateway> => {
  const urls = JSON.stringify(origins.map(({ url }) => url))
  const gateway = await startTestGateway(
    world('', {
      upstreams: `{ app: { urls: ${urls}, ${more} } }`,
      more: 'admin: { bind: 127.0.0.1:0, token: { env: ADMIN } }',
    }),
    { env: { ADMIN: 'admin-token-of-this-test' } },
  )
  closers.push(gateway.close)
  return gateway
}

/** What an origin is to the metrics: 1 or 0. */
const isUp = async ({ admin }: TestGateway, { port }: ServerProcess): Promise<string | undefined> => {
  const text = await (await fetch(`http://${admin}/metrics`)).text()
  const sample = `sallyport_upstream_origin_up{upstream="app",origin="127.0.0.1:${port}"} `
  return text
    .split('\n')
    .find((line) => line.startsWith(sample))
    ?.slice(sample.length)
}

/** Asks over and over until it is stopped; gives what the answers were, by status. */
const callers = (port: number, count: number) => {
  const statuses = new Map<number, number>()
  let stopped = false
  const call = async (): Promise<void> => {
    const connection = await openRaw(port)
    while (!stopped) {
      connection.send(get('/things/one'))
      const { status } = await connection.response()
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
    }
    connection.destroy()
  }
  const calls = Array.from({ length: count }, call)
  return {
    stop: async () => {
      stopped = true
      await Promise.all(calls)
      return [...statuses]
    },
  }
}

test('no caller notices that origins are killed and started again, one after the other', async () => {
  let origins = [await startOrigin('one'), await startOrigin('two')]
  const gateway = await start(origins, 'breaker: { failures: 2, trialEvery: 50ms }')
  const load = callers(gateway.port, 6)
  for (const index of [0, 1, 0]) {
    const origin = origins[index]
    assert.ok(origin)
    await origin.kill()
    await eventually('it is out', async () => (await isUp(gateway, origin)) === '0')
    const back = await startOrigin('again', origin.port)
    await eventually('it is back', async () => (await isUp(gateway, origin)) === '1')
    origins = origins.with(index, back)
  }
  const answers = await load.stop()
  assert.deepEqual(
    answers.map(([status]) => status),
    [200],
  )
  const records = gateway.records()
  assert.equal(records.length, answers[0]?.[1])
  assert.ok(records.every(({ decision }) => decision === 'allow'))
})

test('an origin that hangs is found by its check, and nobody waits for it any more', async () => {
  const [one, two] = [await startOrigin('one'), await startOrigin('two')]
  const gateway = await start([one, two], 'healthCheck: { path: /, interval: 50ms, timeout: 1s }')
  two.freeze()
  await eventually('it is out', async () => (await isUp(gateway, two)) === '0')
  const url = `http://${gateway.host}:${gateway.port}/things/one`
  const ask = async () => (await fetch(url, { headers: { host: 'app', 'x-api-key': KEY.key } })).text()
  assert.deepEqual(await Promise.all([ask(), ask(), ask(), ask()]), ['one', 'one', 'one', 'one'])
  two.thaw()
  await eventually('it is back', async () => (await isUp(gateway, two)) === '1')
  const answers = await Promise.all([ask(), ask(), ask(), ask()])
  assert.deepEqual(answers.toSorted(), ['one', 'one', 'two', 'two'])
})
