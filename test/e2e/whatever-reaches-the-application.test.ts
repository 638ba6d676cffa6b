import assert from 'node:assert/strict'
import { closeSync, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import type { RecordedRequest } from '../support/backend.ts'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'
import { rawRequest } from '../support/raw-http.ts'
import { buildCity, type City, EACH_RECORDED, HOST } from './city.ts'
import { createHostileCaller, type HostileCaller, type Sent } from './hostile-caller.ts'
import { hostileTraffic } from './hostile-traffic.ts'
import { read } from './naive-reading.ts'
import {
  checkAllowed,
  checkAssertion,
  checkTarget,
  decisionIdOf,
  type JsonWebKeys,
  type RecordOfRequest,
  startWitness,
  targetBefore,
  type Witness,
} from './witness.ts'

// SALLYPORT_FUZZ_RUNS=20000 SALLYPORT_FUZZ_SEED=… node --test … for a longer look, or the same one again.
const RUNS = Number(process.env.SALLYPORT_FUZZ_RUNS ?? 500)
const SEED = Number(process.env.SALLYPORT_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31))
const PATH = process.env.SALLYPORT_FUZZ_PATH ?? ''

let city: City
let witness: Witness
let gateway: TestGateway
let jwks: JsonWebKeys
let caller: HostileCaller

before(async () => {
  witness = await startWitness()
  city = await buildCity({
    upstream: witness.backend.url,
    settings: { limits: `{ headersTimeout: 1s, requestTimeout: 1s, bodyBytes: 65536, ${EACH_RECORDED} }` },
  })
  gateway = await startTestGateway(city.world, { env: city.env })
  caller = createHostileCaller(gateway.port)
  const keys = await rawRequest(
    gateway.port,
    `GET /.well-known/sallyport/jwks.json HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`,
  )
  jwks = JSON.parse(keys.body.toString())
})

after(async () => {
  await gateway.close()
  await witness.backend.close()
})

/** Reads what was added to the log since the last time, by decision id. */
const followLog = () => {
  let offset = 0
  return (): ReadonlyMap<string, RecordOfRequest> => {
    const records = new Map<string, RecordOfRequest>()
    const fd = openSync(join(gateway.directory, 'log/decisions.ndjson'), 'r')
    try {
      const chunk = Buffer.alloc(1024 * 1024)
      for (let size = readSync(fd, chunk, 0, chunk.length, offset); size > 0; ) {
        const end = chunk.lastIndexOf(0x0a, size - 1) + 1
        for (const line of chunk
          .toString('utf8', 0, end)
          .split('\n')
          .filter((text) => text !== '')) {
          const record: RecordOfRequest = JSON.parse(line)
          records.set(record.id, record)
        }
        offset += end
        size = readSync(fd, chunk, 0, chunk.length, offset)
      }
    } finally {
      closeSync(fd)
    }
    return records
  }
}

/** What was sent by the request that arrived, where its label can tell. */
const checkMeant = (request: RecordedRequest, sent: readonly Sent[]): void => {
  const [label = '', ...more] = request.header('x-case')
  const sender = sent.find(({ text }) => text.includes(label))
  if (more.length > 0 || label === '' || sender === undefined) return
  const [, arrived = ''] = request.requestLine.split(' ')
  const { hostname } = read(request)
  const target = targetBefore(sender.text, `X-Case: ${label}\r\n`)
  if (target !== null) checkTarget(arrived, target, hostname)
  const meant = sender.meant.get(label)
  if (sender.mutated || meant === undefined || request.requestLine.includes('/health')) return
  checkTarget(arrived, meant.target, hostname)
  const users = request.header('x-remote-user')
  assert.deepEqual(users, [meant.subject?.split('::')[1]])
  const head = request.headerLines.join('\r\n')
  const { tokens, session, apiKey, forged } = city.credentials
  for (const credential of [...tokens.values(), session, apiKey, forged]) {
    assert.ok(!head.includes(credential), 'a credential has reached the application')
  }
}

test('whatever reaches the application was allowed for that very resource, in canonical form', async (t) => {
  t.diagnostic(`SALLYPORT_FUZZ_SEED=${SEED} SALLYPORT_FUZZ_RUNS=${RUNS}`)
  const newRecords = followLog()
  const { requests } = witness.backend
  const all = new Map<string, RecordOfRequest>()
  const seen = { requests: 0, echoes: 0, denials: new Map<string, number>() }

  const checkRun = (sent: readonly Sent[]): void => {
    const records = newRecords()
    const arrived = requests.slice(seen.requests)
    seen.requests = requests.length
    seen.echoes += sent.reduce((sum, { echoes }) => sum + echoes, 0)
    const failed = new Set<string>()
    for (const [id, record] of records) {
      all.set(id, record)
      if (record.follows !== undefined) failed.add(record.follows)
      if (record.decision === 'deny') seen.denials.set(record.code, (seen.denials.get(record.code) ?? 0) + 1)
    }
    for (const id of sent.flatMap(({ ids }) => ids))
      assert.ok(records.has(id), `no record of ${id}, which a caller saw`)
    const reached = new Set<string>()
    for (const request of arrived) {
      const id = decisionIdOf(request)
      assert.ok(!reached.has(id), 'one decision let two requests through')
      reached.add(id)
      const record = records.get(id)
      checkAllowed(request, record)
      if (record !== undefined) checkAssertion(request, record, jwks)
      checkMeant(request, sent)
    }
    for (const { id, decision, route } of records.values()) {
      if (decision === 'deny' || failed.has(id) || route === 'sallyport-jwks') continue
      assert.ok(reached.has(id), `${id} was allowed, and did not arrive`)
    }
  }

  await fc.assert(
    fc.asyncProperty(
      fc.array(hostileTraffic(city), { minLength: 1, maxLength: 12, size: 'max' }),
      async (batch) => {
        const sent = await Promise.all(batch.map(caller.talk))
        checkRun(sent)
      },
    ),
    {
      seed: SEED,
      ...(PATH === '' ? {} : { path: PATH }),
      numRuns: RUNS,
      interruptAfterTimeLimit: Math.max(60_000, RUNS * 200),
    },
  )

  for (const rest of witness.unfinished().filter((text) => text !== '')) {
    const [, id = ''] = /\r\nSallyport-Decision-Id: (\S+)\r\n/.exec(rest) ?? []
    assert.equal(all.get(id)?.decision, 'allow', `something else was sent on: ${JSON.stringify(rest)}`)
  }
  const denials = JSON.stringify(Object.fromEntries(seen.denials))
  t.diagnostic(`${seen.requests} of ${all.size} requests reached the application; refused: ${denials}`)
  assert.ok(Math.min(seen.requests, seen.echoes) > RUNS / 2, 'hardly anything was allowed')
  for (const code of ['bad_request', 'unauthenticated', 'denied', 'no_route'])
    assert.ok(seen.denials.has(code), code)
})
