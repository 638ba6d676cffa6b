import assert from 'node:assert/strict'
import { appendFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { startHttpBackend } from '../support/backend.ts'
import {
  type LoggedRecord,
  layOut,
  readRecords,
  startGatewayProcess,
  startInDirectory,
} from '../support/gateway.ts'
import { openRaw } from '../support/raw-http.ts'
import { buildCity, HOST, tokenOf } from './city.ts'

const prepare = async (t: TestContext, limits: string) => {
  const backend = await startHttpBackend((_request, response) => void response.end('ok'))
  t.after(() => backend.close())
  const city = await buildCity({ upstream: backend.url, settings: { limits } })
  const directory = layOut(city.world)
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return { city, directory, records: () => readRecords(join(directory, 'log/decisions.ndjson')) }
}

interface Answer {
  readonly status: number
  readonly id: string | undefined
}

/** Sends the same request a number of times on one connection. */
const sendMany = async (
  port: number,
  count: number,
  path: string,
  token?: string,
): Promise<readonly Answer[]> => {
  const connection = await openRaw(port, 20_000)
  const credential = token === undefined ? '' : `Authorization: Bearer ${token}\r\n`
  const answers: Answer[] = []
  try {
    for (let index = 0; index < count; index += 1) {
      connection.send(`GET ${path} HTTP/1.1\r\nHost: ${HOST}\r\n${credential}\r\n`)
      const { status, header, body } = await connection.response()
      const id = header('sallyport-decision-id')[0]
      if (status >= 400) assert.equal(JSON.parse(body.toString()).decisionId, id)
      answers.push({ status, id })
    }
  } finally {
    connection.destroy()
  }
  return answers
}

/** Refusals that the records stand for, by code. */
const countsOf = (records: readonly LoggedRecord[]): Readonly<Record<string, number>> => {
  const counts: Record<string, number> = {}
  for (const { code, count } of records) {
    counts[code] = (counts[code] ?? 0) + (typeof count === 'number' ? count : 1)
  }
  return counts
}

test('a flood of refusals is a few lines with exact counts, and what is decided is still recorded one by one', async (t) => {
  const { city, directory, records } = await prepare(t, '{ refusalRecords: { perAddress: 5, window: 1h } }')
  const gateway = await startInDirectory(directory, { env: city.env })
  const alice = tokenOf(city, 'alice')
  const unknown = await sendMany(gateway.port, 200, '/nowhere')
  const anonymous = await sendMany(gateway.port, 100, '/accounts/1')
  const malformed = await sendMany(gateway.port, 100, '/a/%2e%2e/b')
  const allowed = await sendMany(gateway.port, 50, '/accounts/1', alice)
  const denied = await sendMany(gateway.port, 50, '/accounts/secret', alice)
  assert.deepEqual(
    [...new Set([unknown, anonymous, malformed, allowed, denied].map(([one]) => one?.status))],
    [404, 401, 400, 200, 403],
  )
  assert.deepEqual(
    unknown.map(({ id }) => id !== undefined),
    unknown.map((_answer, index) => index < 5),
  )
  assert.ok([...anonymous, ...malformed].every(({ id }) => id === undefined))
  assert.ok([...allowed, ...denied].every(({ id }) => records().some((record) => record.id === id)))
  await gateway.gateway.close()
  const written = records()
  assert.equal(written.length, 5 + 3 + 100)
  assert.deepEqual(countsOf(written), {
    no_route: 200,
    allowed: 50,
    denied: 50,
    unauthenticated: 100,
    bad_request: 100,
  })
  const line = written.find(({ count }) => count === 195)
  assert.equal(line?.decision, 'deny')
  assert.equal(line?.source, 'accept')
  assert.equal(typeof line?.since, 'string')
  assert.deepEqual(line?.request, { id: line?.id, ip: '127.0.0.1' })
})

test('an edit does not lose what was counted before it', async (t) => {
  const { city, directory, records } = await prepare(t, '{ refusalRecords: { perAddress: 5, window: 1h } }')
  const gateway = await startInDirectory(directory, { env: city.env })
  await sendMany(gateway.port, 50, '/nowhere')
  appendFileSync(join(directory, 'config/routes/city.yaml'), '# edited\n')
  assert.notEqual((await gateway.gateway.reload()).outcome, 'rejected')
  assert.deepEqual(countsOf(records()), { no_route: 50 })
  await sendMany(gateway.port, 50, '/nowhere')
  await gateway.gateway.close()
  assert.deepEqual(countsOf(records()), { no_route: 100 })
})

test('the counts are exact at SIGTERM', async (t) => {
  const { city, directory, records } = await prepare(t, '{ refusalRecords: { perAddress: 5, window: 1h } }')
  const gateway = await startGatewayProcess(directory, { env: city.env })
  t.after(() => gateway.child.kill('SIGKILL'))
  await sendMany(gateway.port, 50, '/nowhere')
  gateway.child.kill('SIGTERM')
  assert.equal(await gateway.ended, 0)
  assert.deepEqual(countsOf(records()), { no_route: 50 })
  assert.equal(records().length, 6)
})

test('by default a caller that errs now and then has each refusal on record', async (t) => {
  const { city, directory, records } = await prepare(t, '{}')
  const gateway = await startInDirectory(directory, { env: city.env })
  const answers = await sendMany(gateway.port, 200, '/nowhere')
  assert.ok(answers.every(({ id }) => records().some((record) => record.id === id)))
  await gateway.gateway.close()
  assert.equal(records().length, 200)
})
