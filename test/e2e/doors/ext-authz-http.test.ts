import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startTestGateway, type TestGateway } from '../../support/gateway.ts'
import { buildCity, type City, HOST, tokenOf } from '../city.ts'
import { ask as askAt, portOf } from './asking.ts'

const TRUSTED = 'trustedProxies: [{ cidrs: [127.0.0.1/32, 10.0.0.0/8] }]'
const LISTENERS = `
  - { bind: 127.0.0.1:0, speaks: ext-authz-http, ${TRUSTED} }
  - { bind: 127.0.0.1:0, speaks: ext-authz-http, pathPrefix: /authz, ${TRUSTED} }
  - { bind: 127.0.0.1:0, speaks: ext-authz-http, trustedProxies: [{ cidrs: [10.0.0.0/8] }] }`

const MORE_ROUTES = `defaults: { host: ${HOST}, upstream: core, engine: city, authenticate: [staff, browser] }
routes:
  - { name: open, match: "GET /public/{*rest}", access: public }
  - name: optional
    match: POST /optional
    evaluation:
      action: pay
      resource: { type: Place, id: optional, properties: { to: "$has(body.to) ? body.to : ''" } }
  - { name: where, match: GET /where, evaluation: { action: read, resource: { type: Place, id: $request.ip, properties: { scheme: $request.scheme } } } }
`

interface Asked {
  readonly method?: string
  readonly target?: string
  readonly token?: string | null
  readonly headers?: readonly string[]
  readonly body?: string
}

describe('a listener that speaks ext-authz-http', () => {
  let city: City
  let gateway: TestGateway

  before(async () => {
    city = await buildCity({ upstream: 'http://127.0.0.1:9', settings: { listeners: LISTENERS } })
    gateway = await startTestGateway(
      { ...city.world, 'config/routes/more.yaml': MORE_ROUTES },
      { env: city.env },
    )
  })
  after(() => gateway.close())

  const ask = (asked: Asked = {}, listener = 0) => {
    const {
      method = 'GET',
      target = '/accounts/7',
      token = tokenOf(city, 'alice'),
      headers = [],
      body = '',
    } = asked
    const lines = [
      `${method} ${target} HTTP/1.1`,
      `Host: ${HOST}`,
      `Content-Length: ${body.length}`,
      'X-Forwarded-For: 203.0.113.9, 10.0.0.2',
      'X-Forwarded-Proto: https',
      ...(token === null ? [] : [`Authorization: Bearer ${token}`]),
      ...headers,
    ]
    return askAt(gateway, portOf(gateway, listener), `${lines.join('\r\n')}\r\n\r\n${body}`)
  }

  test('tells an allow by 200, with what is to be set and what is to be removed', async () => {
    const cookie = `Cookie: a=1; session=${city.credentials.session}; b=2`
    const { response, record } = await ask({ headers: [cookie, 'X-Remote-User: carol'] })
    assert.deepEqual([response.status, record.route], [200, 'account'])
    assert.deepEqual(response.header('x-remote-user'), ['alice'])
    assert.deepEqual(response.header('sallyport-assertion').length, 1)
    assert.deepEqual(response.header('cookie'), ['a=1; b=2'])
    const removed = (response.header('x-envoy-auth-headers-to-remove')[0] ?? '').split(',')
    for (const name of ['authorization', 'x-api-key', 'x-original-url', 'x-http-method-override'])
      assert.ok(removed.includes(name), name)
    for (const name of ['x-remote-user', 'sallyport-assertion', 'cookie'])
      assert.ok(!removed.includes(name), name)
    assert.equal(Object(record.request).ip, '203.0.113.9')
  })

  test('has every header removed that only routes may set and this one does not', async () => {
    const cookie = `Cookie: session=${city.credentials.session}`
    const { response } = await ask({
      target: '/public/x',
      token: null,
      headers: ['X-Remote-User: carol', cookie],
    })
    assert.equal(response.status, 200)
    const removed = (response.header('x-envoy-auth-headers-to-remove')[0] ?? '').split(',')
    for (const name of ['x-remote-user', 'sallyport-assertion', 'cookie'])
      assert.ok(removed.includes(name), name)
  })

  test('tells refusals by their own status, which is never 200', async () => {
    for (const [asked, status, code] of [
      [{ token: null }, 401, 'unauthenticated'],
      [{ token: tokenOf(city, 'bob') }, 403, 'denied'],
      [{ target: '/nowhere' }, 404, 'no_route'],
      [{ target: '/public/%2e%2e/accounts/7' }, 400, 'bad_request'],
      [{ target: '//public/x' }, 400, 'bad_request'],
      [{ headers: ['X-Forwarded-Proto: http'] }, 400, 'bad_request'],
      [{ headers: ['X-Forwarded-For: junk'] }, 400, 'bad_request'],
      [{ headers: ['X_Remote_User: carol'] }, 400, 'bad_request'],
    ] as const) {
      const { status: seen, record } = await ask(asked)
      assert.deepEqual([asked, seen, record.code], [asked, status, code])
    }
  })

  test('takes away the prefix that Envoy puts before the path, and wants it', async () => {
    const { status, record } = await ask({ target: '/authz/accounts/7?x=1' }, 1)
    assert.deepEqual([status, Object(record.request).path], [200, '/accounts/7'])
    for (const target of ['/accounts/7', '/authz', '/authzaccounts/7', '/authz//accounts/7']) {
      assert.equal((await ask({ target }, 1)).status, 400, target)
    }
  })

  test('refuses every question of a peer that is not trusted', async () => {
    const { status, record } = await ask({ target: '/public/x' }, 2)
    assert.deepEqual([status, record.code], [403, 'denied'])
  })

  test('reads a body that Envoy says is whole, and no other', async () => {
    const asked = { method: 'POST', target: '/accounts/7/transfers', body: '{"to":"8"}' }
    const type = 'Content-Type: application/json'
    const whole = await ask({ ...asked, headers: [type, 'X-Envoy-Auth-Partial-Body: false'] })
    assert.deepEqual([whole.status, whole.record.code], [200, 'allowed'])
    for (const headers of [[type], [type, 'X-Envoy-Auth-Partial-Body: true']]) {
      const cut = await ask({ ...asked, headers })
      assert.deepEqual([cut.status, cut.record.code], [400, 'bad_request'])
    }
  })

  test('does not take an empty body for the whole one because the caller says so', async () => {
    const headers = ['Content-Type: application/x-www-form-urlencoded', 'X-Envoy-Auth-Partial-Body: false']
    const { status, record } = await ask({ method: 'POST', target: '/optional', headers })
    assert.deepEqual([status, record.code], [400, 'bad_request'])
  })

  test('takes the scheme that Envoy passes on', async () => {
    assert.deepEqual((await ask({ target: '/where' })).record.resource, {
      type: 'Place',
      id: '203.0.113.9',
      properties: { scheme: 'https' },
    })
  })
})

describe('where callers are known by no cookie of the application, a listener that speaks ext-authz-http', () => {
  let gateway: TestGateway
  let city: City
  before(async () => {
    const settings = {
      listeners: `[{ bind: 127.0.0.1:0, speaks: ext-authz-http, ${TRUSTED} }]`,
      authenticators: `
  staff: { type: jwt, issuer: https://idp.test, audience: city, jwksFile: staff.json }
  browser: { type: jwt, issuer: https://login.test, audience: city, jwksFile: browser.json, header: X-Login, prefix: "web|" }
  partners: { type: api-key, keysFile: keys.yaml }`,
    }
    city = await buildCity({ upstream: 'http://127.0.0.1:9', settings })
    gateway = await startTestGateway(city.world, { env: city.env })
  })
  after(() => gateway.close())

  test('has the cookies of a session of the gateway and proofs of possession kept from the application', async () => {
    const question = (cookie: string): string =>
      `GET /accounts/7 HTTP/1.1\r\nHost: ${HOST}\r\nAuthorization: Bearer ${tokenOf(city, 'alice')}\r\n${cookie}\r\n\r\n`
    const some = await askAt(
      gateway,
      portOf(gateway, 0),
      question('Cookie: a=1; __Host-sallyport-web=sealed; b=2'),
    )
    assert.deepEqual([some.status, some.response.header('cookie')], [200, ['a=1; b=2']])
    const all = await askAt(gateway, portOf(gateway, 0), question('Cookie: __Host-sallyport-web.0=sealed'))
    const removed = (all.response.header('x-envoy-auth-headers-to-remove')[0] ?? '').split(',')
    for (const name of ['cookie', 'dpop']) assert.ok(removed.includes(name), name)
  })
})

test('pathPrefix is a mistake of any other listener', async () => {
  const settings = { listeners: '[{ bind: 127.0.0.1:0, pathPrefix: /authz }]' }
  const { world, env } = await buildCity({ upstream: 'http://127.0.0.1:9', settings })
  await assert.rejects(startTestGateway(world, { env }), /pathPrefix/)
})
