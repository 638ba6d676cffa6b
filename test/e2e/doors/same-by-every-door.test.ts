import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { OK, type RawBackend, startRawBackend } from '../../support/backend.ts'
import { type LoggedRecord, startTestGateway, type TestGateway } from '../../support/gateway.ts'
import { rawRequest } from '../../support/raw-http.ts'
import { buildCity, type City, HOST, tokenOf } from '../city.ts'
import { QUERY_KEYS, QUERY_VALUES, SEGMENTS, type Words } from '../hostile-words.ts'
import { portOf } from './asking.ts'

// SALLYPORT_FUZZ_RUNS=200 SALLYPORT_FUZZ_SEED=… node --test … for a longer look, or the same one again.
const RUNS = Number(process.env.SALLYPORT_FUZZ_RUNS ?? 10)
const SEED = Number(process.env.SALLYPORT_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31))

const TRUSTED = 'trustedProxies: [{ cidrs: [127.0.0.1/32], headers: [x-forwarded-for] }]'
const LISTENERS = `
  - { bind: 127.0.0.1:0 }
  - { bind: 127.0.0.1:0, speaks: forward-auth, ${TRUSTED} }
  - { bind: 127.0.0.1:0, speaks: ext-authz-http, ${TRUSTED} }`

let backend: RawBackend
let city: City
let gateway: TestGateway

before(async () => {
  backend = await startRawBackend(OK)
  city = await buildCity({ upstream: backend.url, settings: { listeners: LISTENERS } })
  gateway = await startTestGateway(city.world, { env: city.env })
})
after(async () => {
  await gateway.close()
  await backend.close()
})

const wordOf = ({ calm, wild }: Words) =>
  fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(...calm) },
    { weight: 1, arbitrary: fc.constantFrom(...wild) },
  )

const request = fc.record({
  method: fc.constantFrom('GET', 'GET', 'GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS'),
  start: fc.constantFrom(
    '/accounts',
    '/files',
    '/files/a',
    '/blobs',
    '/search',
    '/old',
    '/public',
    '',
    '/health',
  ),
  segments: fc.array(wordOf(SEGMENTS), { maxLength: 2 }),
  query: fc.array(
    fc.tuple(wordOf(QUERY_KEYS), wordOf(QUERY_VALUES)).map(([key, value]) => key + value),
    { maxLength: 2 },
  ),
  host: fc.constantFrom(
    HOST,
    HOST,
    HOST,
    'CITY.test.',
    `${HOST}:80`,
    'www.pages.test',
    'other.test',
    'city.test/x',
    'a@city.test',
  ),
  who: fc.constantFrom('alice', 'alice', 'bob', null),
})
type Request = typeof request extends fc.Arbitrary<infer T> ? T : never

const targetOf = ({ start, segments, query }: Request): string =>
  `${[start, ...segments].join('/')}${query.length === 0 ? '' : `?${query.join('&')}`}` || '/'

const headOf = (line: string, headers: readonly string[], who: string | null): string =>
  `${[line, ...headers, ...(who === null ? [] : [`Authorization: Bearer ${tokenOf(city, who)}`])].join('\r\n')}\r\n\r\n`

const DOORS: readonly ((asked: Request) => string)[] = [
  (asked) => headOf(`${asked.method} ${targetOf(asked)} HTTP/1.1`, [`Host: ${asked.host}`], asked.who),
  (asked) =>
    headOf(
      'GET / HTTP/1.1',
      [
        'Host: sallyport',
        `X-Forwarded-Method: ${asked.method}`,
        'X-Forwarded-Proto: http',
        `X-Forwarded-Host: ${asked.host}`,
        `X-Forwarded-Uri: ${targetOf(asked)}`,
        'X-Forwarded-For: 127.0.0.1',
      ],
      asked.who,
    ),
  (asked) => headOf(`${asked.method} ${targetOf(asked)} HTTP/1.1`, [`Host: ${asked.host}`], asked.who),
]

/** What was asked of the engine, and what it said. */
const gist = (record: LoggedRecord) => {
  const { decision, code, route, subject, action, resource, context, reasons } = record
  const { method, host, path } = Object(record.request)
  return { decision, code, route, subject, action, resource, context, reasons, method, host, path }
}

test('a request is the same question by every door, or is refused as malformed by one that only asks', async (t) => {
  t.diagnostic(`SALLYPORT_FUZZ_SEED=${SEED} SALLYPORT_FUZZ_RUNS=${RUNS}`)
  const codes = new Map<string, number>()
  const property = fc.asyncProperty(fc.array(request, { minLength: 15, maxLength: 15 }), async (asked) => {
    const ids = await Promise.all(
      asked.map((each) =>
        Promise.all(
          DOORS.map(async (door, index) => {
            const options = { head: each.method === 'HEAD' && index !== 1, deadlineMs: 20_000 }
            const response = await rawRequest(portOf(gateway, index), door(each), options)
            return response.header('sallyport-decision-id')[0]
          }),
        ),
      ),
    )
    const records = new Map(gateway.records().map((record) => [record.id, record]))
    for (const [index, [byProxy = '', ...byOthers]] of ids.entries()) {
      const direct = records.get(byProxy)
      assert.ok(direct !== undefined, JSON.stringify(asked[index]))
      codes.set(direct.code, (codes.get(direct.code) ?? 0) + 1)
      for (const id of byOthers) {
        const other = records.get(id ?? '')
        assert.ok(other !== undefined, JSON.stringify(asked[index]))
        if (other.code === 'bad_request' || direct.code === 'bad_request') {
          assert.equal(other.code, 'bad_request', JSON.stringify(asked[index]))
        } else assert.deepEqual(gist(other), gist(direct))
      }
    }
  })
  await fc.assert(property, { numRuns: RUNS, seed: SEED })
  for (const code of ['allowed', 'denied', 'unauthenticated', 'no_route', 'bad_request'])
    assert.ok(codes.has(code), code)
})

test('no door lets anything through whose record cannot be kept', async () => {
  const file = 'config/sallyport.yaml'
  const full = (city.world[file] ?? '').replace('../log/decisions.ndjson', '/dev/full')
  const unrecorded = await startTestGateway({ ...city.world, [file]: full }, { env: city.env })
  const asked: Request = {
    ...{ method: 'GET', start: '/accounts', segments: ['7'], query: [] },
    ...{ host: HOST, who: 'alice' },
  }
  const statusesOf = async (by: TestGateway): Promise<readonly number[]> => {
    const ask = DOORS.map(async (door, index) => (await rawRequest(portOf(by, index), door(asked))).status)
    return Promise.all(ask)
  }
  try {
    const before = backend.requests.length
    assert.deepEqual(await statusesOf(gateway), [200, 200, 200])
    assert.deepEqual(await statusesOf(unrecorded), [503, 503, 503])
    assert.equal(backend.requests.length, before + 1)
  } finally {
    await unrecorded.close()
  }
})
