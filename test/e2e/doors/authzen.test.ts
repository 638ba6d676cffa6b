import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startTestGateway, type TestGateway } from '../../support/gateway.ts'
import { type RawResponse, rawRequest } from '../../support/raw-http.ts'
import { buildCity, type City, tokenOf } from '../city.ts'
import { portOf } from './asking.ts'

const TRUSTED = 'trustedProxies: [{ cidrs: [127.0.0.1/32] }]'
const LISTENERS = `
  - { bind: 127.0.0.1:0, speaks: authzen, engine: records, ${TRUSTED} }
  - { bind: 127.0.0.1:0, speaks: authzen, engine: records, authenticate: [staff, partners] }
  - { bind: 127.0.0.1:0, speaks: authzen, engine: records, trustedProxies: [{ cidrs: [10.0.0.0/8] }] }`
const ENGINES =
  '{ city: { type: cedar, policies: [../policies/*.cedar] }, records: { type: cedar, policies: [records.cedar] } }'

const POLICIES = `@id("read-any") permit (principal, action == Action::"read", resource);
@id("write-live") permit (principal, action == Action::"write", resource)
  unless { resource has status && resource.status == "archived" };
@id("admin-deletes") permit (principal, action == Action::"delete", resource)
  when { principal has role && principal.role == "admin" };
`

const ALICE = { type: 'user', id: 'alice' }
const BOB = { type: 'user', id: 'bob', properties: { role: 'admin' } }
const RECORD = { type: 'record', id: 'record-1' }
const ARCHIVED = { type: 'record', id: 'record-2', properties: { status: 'archived' } }
const READ = { name: 'read' }
const WRITE = { name: 'write' }
const DELETE = { name: 'delete', properties: { mode: 'soft' } }

const EVALUATION = '/access/v1/evaluation'
const EVALUATIONS = '/access/v1/evaluations'

describe('a listener that speaks authzen', () => {
  let city: City
  let gateway: TestGateway

  before(async () => {
    city = await buildCity({
      upstream: 'http://127.0.0.1:9',
      settings: { listeners: LISTENERS, engines: ENGINES, grants: '{ ttl: 60s }' },
    })
    gateway = await startTestGateway({ ...city.world, 'config/records.cedar': POLICIES }, { env: city.env })
  })
  after(() => gateway.close())

  const post = (
    path: string,
    body: unknown,
    {
      listener = 0,
      headers = [],
      type = 'application/json',
    }: {
      readonly listener?: number
      readonly headers?: readonly string[]
      readonly type?: string | null
    } = {},
  ): Promise<RawResponse> => {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const lines = [
      `POST ${path} HTTP/1.1`,
      'Host: pdp.test',
      ...(type === null ? [] : [`Content-Type: ${type}`]),
      `Content-Length: ${Buffer.byteLength(text)}`,
      ...headers,
    ]
    return rawRequest(portOf(gateway, listener), `${lines.join('\r\n')}\r\n\r\n${text}`)
  }
  const answerIn = ({ body }: RawResponse): unknown => JSON.parse(body.toString())
  const recordsOf = (response: RawResponse) =>
    (response.header('sallyport-decision-id')[0] ?? '')
      .split(', ')
      .map((id) => gateway.records().find((record) => record.id === id))

  for (const [subject, action, resource, decision] of [
    [ALICE, READ, RECORD, true],
    [ALICE, READ, ARCHIVED, true],
    [ALICE, WRITE, RECORD, true],
    [ALICE, WRITE, ARCHIVED, false],
    [ALICE, DELETE, RECORD, false],
    [BOB, DELETE, RECORD, true],
    [BOB, WRITE, ARCHIVED, false],
    [BOB, DELETE, ARCHIVED, true],
  ] as const) {
    test(`tells whether ${subject.id} may ${action.name} ${resource.id}, and records it`, async () => {
      const response = await post(EVALUATION, {
        subject,
        action,
        resource,
        more: 1,
        context: { time: 'now' },
      })
      assert.deepEqual([response.status, answerIn(response)], [200, { decision }])
      const [record] = recordsOf(response)
      assert.deepEqual(
        [record?.decision, record?.subject, record?.resource],
        [decision ? 'allow' : 'deny', subject, resource],
      )
      assert.equal(Object(record?.credential).type, 'peer')
    })
  }

  test('keeps an allow as a grant', async () => {
    const question = { subject: ALICE, action: READ, resource: { type: 'record', id: 'kept' } }
    await post(EVALUATION, question)
    const [record] = recordsOf(await post(EVALUATION, question))
    assert.equal(record?.source, 'grant')
  })

  test('answers a mistake by 400, and records it', async () => {
    const question = { subject: ALICE, action: READ, resource: RECORD }
    for (const body of [
      '',
      '{',
      'null',
      '[]',
      '"x"',
      '{"subject":1,"subject":2}',
      {},
      { ...question, subject: undefined },
      { ...question, action: undefined },
      { ...question, resource: undefined },
      { ...question, subject: { id: 'alice' } },
      { ...question, subject: { type: 'user' } },
      { ...question, subject: { type: 'user', id: 7 } },
      { ...question, subject: { type: 'user', id: '' } },
      { ...question, subject: { ...ALICE, properties: [] } },
      { ...question, subject: 'alice' },
      { ...question, action: {} },
      { ...question, action: 'read' },
      { ...question, resource: { type: 'record' } },
      { ...question, context: 'x' },
    ]) {
      const response = await post(EVALUATION, body)
      assert.deepEqual([body, response.status], [body, 400])
      assert.equal(recordsOf(response)[0]?.code, 'bad_request')
    }
    for (const type of ['text/plain', 'application/jsonp', null]) {
      assert.equal((await post(EVALUATION, question, { type })).status, 400)
    }
    assert.equal((await post(EVALUATION, question, { type: 'application/json; charset=utf-8' })).status, 200)
  })

  test('echoes X-Request-ID with every answer', async () => {
    const headers = ['X-Request-ID: 7f3a']
    const question = { subject: ALICE, action: READ, resource: RECORD }
    for (const body of [question, '{'])
      assert.deepEqual((await post(EVALUATION, body, { headers })).header('x-request-id'), ['7f3a'])
    assert.deepEqual((await post(EVALUATION, question)).header('x-request-id'), [])
  })

  test('answers several questions in order, each with a record of its own', async () => {
    const response = await post(EVALUATIONS, {
      subject: BOB,
      action: WRITE,
      evaluations: [
        { resource: RECORD },
        { resource: ARCHIVED },
        { resource: RECORD, action: DELETE },
        // What an item names takes the place of the whole default: this bob is no admin.
        { resource: RECORD, action: DELETE, subject: { type: 'user', id: 'bob' } },
        { action: READ },
        7,
      ],
    })
    assert.equal(response.status, 200)
    const { evaluations } = answerIn(response) as {
      evaluations: { decision: boolean; context?: { error: { status: number } } }[]
    }
    assert.deepEqual(
      evaluations.map(({ decision, context }) => [decision, context?.error.status]),
      [
        [true, undefined],
        [false, undefined],
        [true, undefined],
        [false, undefined],
        [false, 400],
        [false, 400],
      ],
    )
    assert.deepEqual(
      recordsOf(response).map((record) => record?.code),
      ['allowed', 'denied', 'allowed', 'denied', 'bad_request', 'bad_request'],
    )
  })

  test('stops where the semantic says so', async () => {
    const evaluations = [{ resource: RECORD }, { resource: ARCHIVED }, { resource: RECORD }]
    const asked = (evaluations_semantic: unknown) =>
      post(EVALUATIONS, { subject: ALICE, action: WRITE, evaluations, options: { evaluations_semantic } })
    const decisions = async (semantic: string) =>
      (answerIn(await asked(semantic)) as { evaluations: { decision: boolean }[] }).evaluations.map(
        ({ decision }) => decision,
      )
    assert.deepEqual(await decisions('execute_all'), [true, false, true])
    assert.deepEqual(await decisions('deny_on_first_deny'), [true, false])
    assert.deepEqual(await decisions('permit_on_first_permit'), [true])
    assert.equal((await asked('all')).status, 400)
  })

  test('answers as to a single question where evaluations are empty or missing', async () => {
    const question = { subject: ALICE, action: READ, resource: RECORD }
    for (const body of [question, { ...question, evaluations: [] }])
      assert.deepEqual(answerIn(await post(EVALUATIONS, body)), { decision: true })
    assert.equal((await post(EVALUATIONS, { ...question, evaluations: {} })).status, 400)
    const many = Array.from({ length: 101 }, () => ({}))
    assert.equal((await post(EVALUATIONS, { ...question, evaluations: many })).status, 400)
  })

  test('says where its endpoints are', async () => {
    const response = await rawRequest(
      portOf(gateway, 0),
      'GET /.well-known/authzen-configuration HTTP/1.1\r\nHost: pdp.test\r\n\r\n',
    )
    assert.deepEqual([response.status, response.header('content-type')], [200, ['application/json']])
    assert.deepEqual(answerIn(response), {
      policy_decision_point: 'http://pdp.test',
      access_evaluation_endpoint: `http://pdp.test${EVALUATION}`,
      access_evaluations_endpoint: `http://pdp.test${EVALUATIONS}`,
    })
  })

  test('asks an enforcement point who it is where authenticators are listed', async () => {
    const question = { subject: ALICE, action: READ, resource: RECORD }
    const asked = (headers: readonly string[]) => post(EVALUATION, question, { listener: 1, headers })
    const none = await asked([])
    assert.equal(none.status, 401)
    assert.ok(none.header('www-authenticate').length > 0)
    assert.equal((await asked([`Authorization: Bearer ${city.credentials.forged}`])).status, 401)
    const known = await asked([`Authorization: Bearer ${tokenOf(city, 'carol')}`])
    assert.deepEqual(answerIn(known), { decision: true })
    const [record] = recordsOf(known)
    assert.deepEqual([record?.subject, Object(record?.credential).authenticator], [ALICE, 'staff'])
    assert.deepEqual(answerIn(await asked([`X-Api-Key: ${city.credentials.apiKey}`])), { decision: true })
  })

  test('goes on to answer about a subject whose credentials are refused, and about others, by the engine', async () => {
    const question = { subject: ALICE, action: READ, resource: { type: 'record', id: 'marked' } }
    const asked = async (listener: number, subject: object) => {
      const headers = listener === 1 ? [`X-Api-Key: ${city.credentials.apiKey}`] : []
      const response = await post(EVALUATION, { ...question, subject }, { listener, headers })
      return [response.status, recordsOf(response)[0]?.source]
    }
    for (const listener of [0, 1])
      assert.deepEqual([await asked(listener, ALICE), await asked(listener, ALICE)].at(-1), [200, 'grant'])
    const revoked = await fetch(`http://${gateway.admin}/v1/revocations`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${city.credentials.adminToken}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify({ subject: 'user::alice', effect: 'credentials' }),
    })
    assert.equal(revoked.status, 201)
    for (const listener of [0, 1]) {
      assert.deepEqual(await asked(listener, ALICE), [200, 'engine'])
      assert.equal((await asked(listener, BOB))[0], 200)
      assert.equal((await asked(listener, ALICE))[0], 200)
    }
  })

  test('answers nobody else, and nothing else', async () => {
    const question = { subject: ALICE, action: READ, resource: RECORD }
    assert.equal((await post(EVALUATION, question, { listener: 2 })).status, 403)
    for (const path of [
      '/access/v1/search/subject',
      '/accounts/7',
      '/access/v1/evaluation/',
      '/.well-known/sallyport/jwks.json',
    ])
      assert.equal((await post(path, question)).status, 404, path)
    assert.equal((await post('/access/v1/../v1/evaluation', question)).status, 400)
    const get = await rawRequest(portOf(gateway, 0), `GET ${EVALUATION} HTTP/1.1\r\nHost: pdp.test\r\n\r\n`)
    assert.equal(get.status, 404)
  })
})

test('such a listener names an engine that is there, and no other listener does', async () => {
  for (const [listener, says] of [
    [`speaks: authzen, ${TRUSTED}`, /"engine"/],
    [`speaks: authzen, engine: nowhere, ${TRUSTED}`, /unknown engine "nowhere"/],
    ['speaks: authzen, engine: city', /trustedProxies/],
    ['speaks: authzen, engine: city, authenticate: [nobody]', /unknown authenticator "nobody"/],
    ['engine: city', /authzen alone/],
  ] as const) {
    const settings = { listeners: `[{ bind: 127.0.0.1:0 }, { bind: 127.0.0.1:0, ${listener} }]` }
    const { world, env } = await buildCity({ upstream: 'http://127.0.0.1:9', settings })
    await assert.rejects(startTestGateway(world, { env }), says, listener)
  }
})
