import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type RawBackend, startRawBackend } from '../support/backend.ts'
import { type LoggedRecord, startTestGateway, type TestGateway } from '../support/gateway.ts'
import { type RawResponse, rawRequest } from '../support/raw-http.ts'
import { buildCity, type City, HOST, tokenOf } from './city.ts'

const ROUTES = `defaults: { host: ${HOST}, upstream: core, engine: city, authenticate: [staff] }
routes:
  - name: watched
    match: GET /watched/{id}
    mode: observe
    evaluation: { action: read, resource: { type: Thing, id: $path.id, properties: { name: $path.id } } }
    headers: { X-Remote-User: $subject.id }
  - name: watched-body
    match: POST /watched
    mode: observe
    evaluation: { action: read, resource: { type: Thing, id: $body.id } }
  - name: watched-once
    match: GET /watched-once
    mode: observe
    observeUntil: 2020-01-01T00:00:00Z
    evaluation: { action: read, resource: { type: Thing, id: x } }
  - name: compared
    match: GET /compared/{id}
    shadow: draft
    evaluation: { action: read, resource: { type: Thing, id: $path.id, properties: { name: $path.id } } }
  - name: shared
    match: GET,POST /shared
    cors: { origins: ["https://app.test"], credentials: true, maxAge: 60s }
    evaluation: { action: read, resource: { type: Thing, id: x } }
`

const DRAFT = `@id("nobody") forbid (principal, action, resource);
`

let city: City
let backend: RawBackend
let gateway: TestGateway

before(async () => {
  backend = await startRawBackend(
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nAccess-Control-Allow-Origin: *\r\n\r\nok',
  )
  city = await buildCity({
    upstream: backend.url,
    settings: {
      engines: `{ city: { type: cedar, policies: [../policies/*.cedar] }, draft: { type: cedar, policies: [../drafts/*.cedar] } }`,
      unmatched: '{ authenticate: [staff] }',
    },
  })
  const world = { ...city.world, 'config/routes/watched.yaml': ROUTES, 'drafts/draft.cedar': DRAFT }
  gateway = await startTestGateway(world, { env: city.env })
})

after(async () => {
  await gateway.close()
  await backend.close()
})

interface Seen {
  readonly response: RawResponse
  readonly record: LoggedRecord
  readonly forwarded: number
}

const send = async (line: string, headers: readonly string[] = [], body = ''): Promise<Seen> => {
  const before = backend.requests.length
  const length = body === '' ? [] : [`Content-Length: ${body.length}`, 'Content-Type: application/json']
  const head = [line, `Host: ${HOST}`, ...headers, ...length].join('\r\n')
  const response = await rawRequest(gateway.port, `${head}\r\n\r\n${body}`)
  const id = response.header('sallyport-decision-id')[0]
  const record = gateway.records().find((each) => each.id === id)
  assert.ok(record !== undefined, 'the answer has the id of a record')
  return { response, record, forwarded: backend.requests.length - before }
}

const as = (name: string): readonly string[] => [`Authorization: Bearer ${tokenOf(city, name)}`]
const lastRequest = () => backend.requests[backend.requests.length - 1]

describe('a route that observes', () => {
  test('forwards what its policy denies, without an assertion, and records the deny', async () => {
    const { response, record, forwarded } = await send('GET /watched/1 HTTP/1.1', as('bob'))
    assert.deepEqual([response.status, forwarded], [200, 1])
    const { decision, code, mode, forwarded: said, resource } = record
    assert.deepEqual([decision, code, mode, said], ['deny', 'denied', 'observe', true])
    assert.deepEqual(resource, { type: 'Thing', id: '1', properties: { name: '1' } })
    assert.deepEqual(lastRequest()?.header('sallyport-assertion'), [])
    assert.deepEqual(lastRequest()?.header('x-remote-user'), ['bob'])
  })

  test('forwards what it allows with an assertion, as ever', async () => {
    const { record } = await send('GET /watched/1 HTTP/1.1', as('alice'))
    assert.deepEqual([record.decision, record.mode, record.forwarded], ['allow', 'observe', undefined])
    assert.equal(lastRequest()?.header('sallyport-assertion').length, 1)
  })

  for (const [what, headers] of [
    ['without a credential', []],
    ['with a bad credential', ['Authorization: Bearer a.b.c']],
  ] as const) {
    test(`forwards a caller ${what} as nobody, and the credential and a claimed name stay behind`, async () => {
      const { response, record, forwarded } = await send('GET /watched/1 HTTP/1.1', [
        ...headers,
        'X-Remote-User: alice',
      ])
      assert.deepEqual([response.status, forwarded], [200, 1])
      assert.deepEqual([record.code, record.forwarded, record.subject], ['unauthenticated', true, undefined])
      for (const name of ['x-remote-user', 'authorization', 'sallyport-assertion']) {
        assert.deepEqual(lastRequest()?.header(name), [], name)
      }
    })
  }

  test('refuses what is malformed, in the head and in the body', async () => {
    const path = await send('GET /watched/%2e%2e HTTP/1.1', as('alice'))
    assert.deepEqual([path.response.status, path.forwarded, path.record.code], [400, 0, 'bad_request'])
    const body = await send('POST /watched HTTP/1.1', as('alice'), '{"id":1,"id":2}')
    assert.deepEqual([body.response.status, body.forwarded, body.record.code], [400, 0, 'bad_request'])
  })

  test('enforces once its time is over', async () => {
    const { response, forwarded } = await send('GET /watched-once HTTP/1.1', as('bob'))
    assert.deepEqual([response.status, forwarded], [403, 0])
  })
})

describe('a shadow engine', () => {
  test('is asked when the engine is, told apart in the record, and changes nothing', async () => {
    const { response, record } = await send('GET /compared/1 HTTP/1.1', as('alice'))
    assert.equal(response.status, 200)
    const { policyVersion, ...shadow } = record.shadow as Record<string, unknown>
    assert.deepEqual(shadow, { engine: 'draft', agrees: false, decision: 'deny', reasons: ['nobody'] })
    assert.notEqual(policyVersion, record.policyVersion)
    const agreed = await send('GET /compared/1 HTTP/1.1', as('bob'))
    assert.equal(Reflect.get(Object(agreed.record.shadow), 'agrees'), true)
    assert.equal(agreed.response.status, 403)
  })
})

describe('callers of what no route is for', () => {
  test('are told so only when they are known', async () => {
    const stranger = await send('GET /nothing HTTP/1.1')
    assert.deepEqual([stranger.response.status, stranger.record.code], [401, 'unauthenticated'])
    assert.equal(stranger.response.header('www-authenticate')[0], 'Bearer')
    const known = await send('GET /nothing HTTP/1.1', as('alice'))
    assert.deepEqual([known.response.status, known.record.code], [404, 'no_route'])
    assert.deepEqual([known.record.source, known.record.route], ['accept', undefined])
  })
})

describe('cors of a route', () => {
  const preflight = (origin: string, method: string, headers = 'authorization') =>
    send('OPTIONS /shared HTTP/1.1', [
      `Origin: ${origin}`,
      `Access-Control-Request-Method: ${method}`,
      `Access-Control-Request-Headers: ${headers}`,
    ])

  test('answers a preflight without asking who it is, and without the application', async () => {
    const { response, record, forwarded } = await preflight('https://app.test', 'POST')
    assert.deepEqual([response.status, forwarded], [204, 0])
    assert.equal(response.header('access-control-allow-origin')[0], 'https://app.test')
    assert.equal(response.header('access-control-allow-methods')[0], 'GET, POST')
    assert.equal(response.header('access-control-max-age')[0], '60')
    assert.deepEqual([record.decision, record.source, record.route], ['allow', 'route', 'shared'])
  })

  for (const [what, origin, method, headers] of [
    ['another origin', 'https://evil.test', 'POST', 'authorization'],
    ['another method', 'https://app.test', 'DELETE', 'authorization'],
    ['another header', 'https://app.test', 'POST', 'x-evil'],
  ] as const) {
    test(`does not allow ${what}`, async () => {
      const { response, forwarded } = await preflight(origin, method, headers)
      assert.ok(response.status === 403 || response.status === 404 || response.status === 401)
      assert.equal(response.header('access-control-allow-origin')[0], undefined)
      assert.equal(forwarded, 0)
    })
  }

  test("replaces the application's fields, and lets a page read a refusal", async () => {
    const allowed = await send('GET /shared HTTP/1.1', [...as('alice'), 'Origin: https://app.test'])
    assert.equal(allowed.response.header('access-control-allow-origin')[0], 'https://app.test')
    const evil = await send('GET /shared HTTP/1.1', [...as('alice'), 'Origin: https://evil.test'])
    assert.equal(evil.response.header('access-control-allow-origin')[0], undefined)
    const refused = await send('GET /shared HTTP/1.1', [...as('bob'), 'Origin: https://app.test'])
    assert.equal(refused.response.status, 403)
    assert.equal(refused.response.header('access-control-allow-origin')[0], 'https://app.test')
  })
})
