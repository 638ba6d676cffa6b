import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startTestGateway, type TestGateway } from '../../support/gateway.ts'
import { rawRequest } from '../../support/raw-http.ts'
import { buildCity, type City, HOST, tokenOf } from '../city.ts'
import { ask, portOf, questionOf } from './asking.ts'

const TRUSTED = 'trustedProxies: [{ cidrs: [127.0.0.1/32], headers: [x-forwarded-for] }]'
const LISTENERS = `
  - { bind: 127.0.0.1:0 }
  - { bind: 127.0.0.1:0, speaks: forward-auth, ${TRUSTED} }
  - { bind: 127.0.0.1:0, speaks: ext-authz-http, ${TRUSTED} }
  - { bind: 127.0.0.1:0, speaks: authzen, engine: city, ${TRUSTED} }
  - { bind: 127.0.0.1:0, speaks: authzen, engine: security, ${TRUSTED} }`
const ENGINES =
  '{ city: { type: cedar, policies: [../policies/*.cedar] }, security: { type: cedar, policies: [security.cedar] } }'
const SECURITY = `@id("all-else") permit (principal, action, resource);
@id("nobody-there") forbid (principal, action, resource == Account::"sealed");
`

const post = (path: string, body: unknown): string => {
  const text = JSON.stringify(body)
  return `POST ${path} HTTP/1.1\r\nHost: pdp.test\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`
}

const question = (id: string) => ({
  subject: { type: 'User', id: 'alice' },
  action: { name: 'read' },
  resource: { type: 'Account', id },
})

describe("the gateway's baseline", () => {
  let city: City
  let gateway: TestGateway
  before(async () => {
    city = await buildCity({
      upstream: 'http://127.0.0.1:9',
      settings: { listeners: LISTENERS, engines: ENGINES, baseline: 'security' },
    })
    gateway = await startTestGateway({ ...city.world, 'config/security.cedar': SECURITY }, { env: city.env })
  })
  after(() => gateway.close())

  const plain = (path: string): string =>
    `GET ${path} HTTP/1.1\r\nHost: ${HOST}\r\nX-Forwarded-For: 203.0.113.9\r\nAuthorization: Bearer ${tokenOf(city, 'alice')}\r\n\r\n`
  const told = (listener: number, asked: string) => ask(gateway, portOf(gateway, listener), asked)

  const DOORS: readonly (readonly [string, number, (path: string) => string])[] = [
    ['forward-auth', 1, (uri) => questionOf({ uri, token: tokenOf(city, 'alice') }, HOST)],
    ['ext-authz-http', 2, plain],
  ]
  for (const [door, listener, asked] of DOORS) {
    test(`is asked by ${door}`, async () => {
      const { status, record } = await told(listener, asked('/accounts/sealed'))
      assert.deepEqual([status, record.engine, record.reasons], [403, 'security + city', ['nobody-there']])
      assert.equal((await told(listener, asked('/accounts/7'))).record.decision, 'allow')
    })
  }

  test('is asked by a listener that speaks authzen', async () => {
    const denied = await told(3, post('/access/v1/evaluation', question('sealed')))
    assert.deepEqual(JSON.parse(denied.response.body.toString()), { decision: false })
    assert.deepEqual([denied.record.engine, denied.record.reasons], ['security + city', ['nobody-there']])
    const allowed = await told(3, post('/access/v1/evaluation', question('7')))
    assert.deepEqual(JSON.parse(allowed.response.body.toString()), { decision: true })
    assert.deepEqual(allowed.record.reasons, ['all-else', 'guests-welcome'])
  })

  test('is asked of every question of a batch', async () => {
    const evaluations = ['7', 'sealed'].map((id) => question(id))
    const answer = await rawRequest(portOf(gateway, 3), post('/access/v1/evaluations', { evaluations }))
    assert.deepEqual(JSON.parse(answer.body.toString()), {
      evaluations: [{ decision: true }, { decision: false }],
    })
  })

  test('is asked once where it is the engine of the listener', async () => {
    const { record } = await told(4, post('/access/v1/evaluation', question('sealed')))
    assert.deepEqual([record.decision, record.engine], ['deny', 'security'])
  })
})
