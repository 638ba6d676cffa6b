import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, test } from 'node:test'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'
import { openRaw } from '../support/raw-http.ts'
import { eventually, type ServerProcess, startServerProcess } from '../support/server-process.ts'
import { get, KEY, world } from './live-world.ts'

const closers: (() => Promise<void>)[] = []
after(async () => {
  for (const close of closers.reverse()) await close()
  rmSync(dirname(DONE), { recursive: true })
})

/** An application in a process of its own, which says its name, and keeps what is posted in a file before it answers. */
const APPLICATION = `
const [, port, name, done] = process.argv
require('node:http').createServer((request, response) => {
  let text = ''
  request.on('data', (chunk) => { text += chunk })
  request.on('end', () => {
    if (request.method !== 'POST') return response.end(name)
    require('node:fs').appendFileSync(done, text + '\\n')
    // Slow enough that a kill falls between what is done and what is said.
    setTimeout(() => response.end(name), 20)
  })
}).listen(Number(port), '127.0.0.1')
`
const DONE = join(mkdtempSync(join(tmpdir(), 'sallyport-origins-')), 'done')

const startOrigin = async (name: string, port?: number): Promise<ServerProcess> => {
  const origin = await startServerProcess({
    command: process.execPath,
    args: (at) => ['-e', APPLICATION, '--', String(at), name, DONE],
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

/** Kills each origin in the midst of answers, and starts another one in its place; waits for the metrics to say so. */
const killInTurn = async (
  gateway: TestGateway,
  origins: readonly ServerProcess[],
  answers: () => number,
): Promise<void> => {
  for (const origin of origins) {
    const before = answers()
    await eventually('requests are under way', () => answers() > before + 20)
    await origin.kill()
    await eventually('it is out', async () => (await isUp(gateway, origin)) === '0')
    await startOrigin('again', origin.port)
    await eventually('it is back', async () => (await isUp(gateway, origin)) === '1')
  }
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
    answers: () => [...statuses.values()].reduce((sum, each) => sum + each, 0),
    stop: async () => {
      stopped = true
      await Promise.all(calls)
      return [...statuses]
    },
  }
}

test('no caller notices that origins are killed and started again, one after the other', async () => {
  const origins = [await startOrigin('one'), await startOrigin('two')]
  const gateway = await start(origins, 'breaker: { failures: 2, trialEvery: 50ms }')
  const load = callers(gateway.port, 6)
  await killInTurn(gateway, origins, load.answers)
  const answers = await load.stop()
  assert.deepEqual(
    answers.map(([status]) => status),
    [200],
  )
  const records = gateway.records()
  assert.equal(records.length, answers[0]?.[1])
  assert.ok(records.every(({ decision }) => decision === 'allow'))
})

test('what is posted while origins are killed is done once, or it is said that it failed', async () => {
  const origins = [await startOrigin('one'), await startOrigin('two')]
  const gateway = await start(origins, 'breaker: { failures: 2, trialEvery: 50ms }')
  const answered = new Map<string, number>()
  let stopped = false
  const post = async (caller: number): Promise<void> => {
    const connection = await openRaw(gateway.port)
    for (let number = 0; !stopped; number += 1) {
      const body = JSON.stringify({ id: 'one', number: `${caller}-${number}` })
      const head = `POST /things HTTP/1.1\r\nHost: app\r\nX-Api-Key: ${KEY.key}\r\nContent-Type: application/json`
      connection.send(`${head}\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
      answered.set(body, (await connection.response()).status)
    }
    connection.destroy()
  }
  const posting = [0, 1, 2, 3].map(post)
  await killInTurn(gateway, origins, () => answered.size)
  stopped = true
  await Promise.all(posting)
  const done = readFileSync(DONE, 'utf8').split('\n').slice(0, -1)
  assert.equal(new Set(done).size, done.length)
  const statuses = [...new Set(answered.values())]
  assert.ok(statuses.every((status) => status === 200 || status === 502))
  const told = [...answered].filter(([, status]) => status === 200).map(([body]) => body)
  assert.ok(told.length > 0)
  const wasDone = new Set(done)
  assert.deepEqual(
    told.filter((body) => !wasDone.has(body)),
    [],
  )
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
