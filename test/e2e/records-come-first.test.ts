import assert from 'node:assert/strict'
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { verifyLogs } from '../../src/gateway/record/verify.ts'
import { type RawBackend, startRawBackend } from '../support/backend.ts'
import { layOut, readRecords, startGatewayProcess, startTestGateway } from '../support/gateway.ts'
import { openRaw } from '../support/raw-http.ts'
import { edited, get, read, world, write } from './live-world.ts'

const LOG = 'log/decisions.ndjson'
const CALLERS = 40

const idsAt = ({ requests }: RawBackend): readonly string[] =>
  requests.flatMap(({ header }) => header('sallyport-decision-id'))

/** All of them ask at the same moment, so many times; their statuses. */
const askTogether = async (t: TestContext, port: number, times: number): Promise<readonly number[]> => {
  const connections = await Promise.all(Array.from({ length: CALLERS }, () => openRaw(port)))
  t.after(() => {
    for (const connection of connections) connection.destroy()
  })
  const statuses: number[] = []
  for (let time = 0; time < times; time += 1) {
    for (const connection of connections) connection.send(get('/things/one'))
    for (const connection of connections) statuses.push((await connection.response()).status)
  }
  return statuses
}

const assertWhole = async (log: string): Promise<void> => {
  const verified = await verifyLogs([log], { heads: [] })
  assert.ok(!('unreadable' in verified))
  assert.deepEqual(verified.findings, [])
}

for (const fsync of [false, true]) {
  test(`whatever reaches the application is in the log by then, of many that come at once (fsync: ${fsync})`, async (t) => {
    const missing: string[] = []
    let log = ''
    const backend = await startRawBackend(({ header }, socket) => {
      const [id = 'no id'] = header('sallyport-decision-id')
      if (!readFileSync(log, 'utf8').includes(`"id":"${id}"`)) missing.push(id)
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    })
    t.after(backend.close)
    const audit = `[{ type: file, path: ../${LOG}, fsync: ${fsync} }]`
    const directory = layOut(world(backend.url, { audit }))
    t.after(() => rmSync(directory, { recursive: true, force: true }))
    log = join(directory, LOG)
    const gateway = await startGatewayProcess(directory)
    const statuses = await askTogether(t, gateway.port, 5)
    gateway.child.kill('SIGTERM')
    assert.equal(await gateway.ended, 0)
    assert.deepEqual(statuses, Array(5 * CALLERS).fill(200))
    assert.deepEqual(missing, [])
    assert.deepEqual(new Set(readRecords(log).map(({ id }) => id)), new Set(idsAt(backend)))
    await assertWhole(log)
  })
}

test('when the disk is full none of those that come at once passes, and those before are in the log', async (t) => {
  const backend = await startRawBackend()
  t.after(backend.close)
  const directory = layOut(world(backend.url))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const log = join(directory, LOG)
  // A limit on the size of files: write(2) takes what fits, and then fails as on a disk that fills up.
  const gateway = await startGatewayProcess(directory, { shell: 'ulimit -f 64' })
  const statuses = await askTogether(t, gateway.port, 5)
  gateway.child.kill('SIGTERM')
  await gateway.ended
  const passed = statuses.filter((status) => status === 200).length
  assert.ok(passed > 0 && passed < statuses.length)
  assert.deepEqual(
    statuses.filter((status) => status !== 200),
    Array(statuses.length - passed).fill(503),
  )
  const recorded = new Set(readRecords(log).map(({ id }) => id))
  assert.deepEqual(new Set(idsAt(backend)), recorded)
  assert.equal(recorded.size, passed)
  await assertWhole(log)
})

test('an edit of the log that is taken up, and one that cannot be, leave no request without its record', async (t) => {
  const backend = await startRawBackend()
  t.after(backend.close)
  const gateway = await startTestGateway(world(backend.url), { watch: { quietMs: 20, patienceMs: 200 } })
  t.after(gateway.close)
  const file = 'config/sallyport.yaml'
  const old = read(gateway, file)
  const edit = async (more: string): Promise<string> => {
    const change = (): void =>
      write(gateway, file, old.replace('decisions.ndjson }', `decisions.ndjson, ${more} }`))
    return (await edited(gateway, change)).outcome
  }
  const statuses = [...(await askTogether(t, gateway.port, 1))]
  // A chain does not go on without one.
  for (const [more, outcome] of [
    ['chain: false', 'rejected'],
    ['fsync: true', 'applied'],
    ['fsync: true, chain: false', 'rejected'],
  ] as const) {
    assert.equal(await edit(more), outcome)
    statuses.push(...(await askTogether(t, gateway.port, 1)))
  }
  assert.deepEqual(statuses, Array(4 * CALLERS).fill(200))
  // What was under way at an edit is decided again, and has a second record of its end.
  const decided = gateway.records().filter(({ follows }) => follows === undefined)
  assert.deepEqual(new Set(decided.map(({ id }) => id)), new Set(idsAt(backend)))
  await assertWhole(join(gateway.directory, LOG))
})
