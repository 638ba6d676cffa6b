import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { connect } from 'node:tls'
import { createAuthority } from '../../support/certificates.ts'
import { startTestGateway, type TestGateway } from '../../support/gateway.ts'
import { openRaw, rawRequest } from '../../support/raw-http.ts'
import { buildCity, type City, HOST, tokenOf } from '../city.ts'
import { type Asked, ask as askAt, portOf, questionOf } from './asking.ts'

const TRUSTED = 'trustedProxies: [{ cidrs: [127.0.0.1/32, 10.0.0.0/8] }]'
const LISTENERS = `
  - { bind: 127.0.0.1:0 }
  - { bind: 127.0.0.1:0, speaks: forward-auth, ${TRUSTED} }
  - { bind: 127.0.0.1:0, speaks: forward-auth, trustedProxies: [{ cidrs: [10.0.0.0/8] }] }
  - { bind: 127.0.0.1:0, speaks: forward-auth, tls: { certFile: tls/gw.crt, keyFile: tls/gw.key, clientCaFile: tls/ca.pem, clientCert: optional } }`

// Nothing listens there.
const ENGINES =
  '{ city: { type: cedar, policies: [../policies/*.cedar] }, away: { type: opa, url: "http://127.0.0.1:1", path: a/b } }'

const MORE_ROUTES = `defaults: { host: ${HOST}, upstream: core, engine: city, authenticate: [staff, browser] }
routes:
  - { name: open, match: "GET /public/{*rest}", access: public }
  - { name: away, match: GET /away, engine: away, evaluation: { action: read, resource: { type: Place, id: away } } }
  - name: where
    match: "* /where"
    evaluation: { action: read, resource: { type: Place, id: $request.ip, properties: { scheme: $request.scheme } } }
  - { name: watched, match: GET /watched, mode: observe, evaluation: { action: read, resource: { type: Place, id: secret, properties: { name: secret } } } }
  - { name: paged, match: GET /paged, cors: { origins: ["https://app.test"] }, evaluation: { action: read, resource: { type: Place, id: paged } } }
`

describe('a listener that speaks forward-auth', () => {
  const authority = createAuthority()
  const server = authority.issue({ commonName: 'gateway', names: ['localhost', '127.0.0.1'] })
  const proxy = authority.issue({ commonName: 'proxy' })
  let city: City
  let gateway: TestGateway

  before(async () => {
    city = await buildCity({
      upstream: 'http://127.0.0.1:9',
      settings: { listeners: LISTENERS, engines: ENGINES },
    })

    gateway = await startTestGateway(
      {
        ...city.world,
        'config/routes/more.yaml': MORE_ROUTES,
        'config/tls/gw.crt': server.cert,
        'config/tls/gw.key': server.key,
        'config/tls/ca.pem': authority.cert,
      },
      { env: city.env },
    )
  })
  after(() => gateway.close())

  const ask = (asked: Asked = {}, listener = 1) =>
    askAt(gateway, portOf(gateway, listener), questionOf({ token: tokenOf(city, 'alice'), ...asked }, HOST))

  test('tells an allow by 200, with what is to be sent along and nothing else', async () => {
    const { response, record } = await ask()
    assert.equal(response.status, 200)
    assert.equal(response.body.length, 0)
    assert.deepEqual(response.header('x-remote-user'), ['alice'])
    const [assertion = ''] = response.header('sallyport-assertion')
    const claims = JSON.parse(Buffer.from(assertion.split('.')[1] ?? '', 'base64url').toString())
    assert.deepEqual([claims.sub, claims.aud, claims.route], ['alice', 'core', 'account'])
    assert.deepEqual([record.decision, record.code, record.route], ['allow', 'allowed', 'account'])
    const { id: _id, ...request } = Object(record.request)
    assert.deepEqual(request, { method: 'GET', host: HOST, path: '/accounts/7', ip: '203.0.113.9' })
  })

  test('keeps the decision as a grant for the next question', async () => {
    await ask({ uri: '/accounts/kept' })
    assert.equal((await ask({ uri: '/accounts/kept' })).record.source, 'grant')
  })

  test('tells refusals by 401 and 403 alone, in the words of the refusal', async () => {
    const cases: readonly [Asked, number, string][] = [
      [{ token: null }, 401, 'unauthenticated'],
      [{ token: city.credentials.forged }, 401, 'unauthenticated'],
      [{ token: tokenOf(city, 'bob') }, 403, 'denied'],
      [{ uri: '/nowhere' }, 403, 'no_route'],
      [{ host: 'other.test' }, 403, 'no_route'],
      [{ method: 'DELETE' }, 403, 'no_route'],
      [{ uri: '/public/../accounts/7' }, 403, 'bad_request'],
      [{ uri: '/.well-known/sallyport/jwks.json' }, 403, 'no_route'],
    ]
    for (const [asked, status, code] of cases) {
      const { response, record } = await ask(asked)
      const problem = JSON.parse(response.body.toString())
      assert.deepEqual([response.status, problem.status, problem.code], [status, status, code])
      assert.equal(record.code, code)
    }
    assert.deepEqual((await ask({ token: null })).response.header('www-authenticate').length > 0, true)
  })

  test('tells an outage by 503, which no proxy takes for an answer about the request', async () => {
    const { status, record } = await ask({ uri: '/away' })
    assert.deepEqual([status, record.code], [503, 'engine_unavailable'])
  })

  for (const header of ['Method', 'Proto', 'Host', 'Uri', 'For']) {
    test(`refuses a question with no X-Forwarded-${header}, or two`, async () => {
      const question = questionOf({ uri: '/public/x' }, HOST)
      const line = new RegExp(`X-Forwarded-${header}: .*\r\n`)
      for (const [changed, what] of [
        [question.replace(line, ''), 'none'],
        [question.replace(line, (found) => found + found), 'two'],
      ] as const) {
        const { status, record } = await askAt(gateway, portOf(gateway, 1), changed)
        assert.deepEqual([what, status, record.code], [what, 403, 'bad_request'])
      }
    })
  }

  test('refuses what makes no sense in them', async () => {
    for (const asked of [
      { method: 'GET POST' },
      { method: 'get' },
      { method: 'CONNECT' },
      { proto: 'gopher' },
      { proto: 'https, http' },
      { host: `${HOST}, other.test` },
      { host: `${HOST}/public` },
      { host: `user@${HOST}` },
      { uri: 'http://city.test/public/x' },
      { uri: '/public/x, /admin' },
      { uri: 'public/x' },
      { uri: '/public/x#/admin' },
      { uri: '//public/x' },
      { for: 'unknown' },
      { for: '203.0.113.9, junk' },
      { for: '' },
    ] satisfies Asked[]) {
      const { status, record } = await ask({ uri: '/public/x', token: null, ...asked })
      assert.deepEqual([asked, status, record.code], [asked, 403, 'bad_request'])
    }
  })

  test('refuses every question of a peer that is not trusted, also about what is public', async () => {
    for (const uri of ['/public/x', '/accounts/7']) {
      const { status, record } = await ask({ uri }, 2)
      assert.deepEqual([status, record.code, record.source], [403, 'denied', 'accept'])
      assert.equal(Object(record.request).ip, '127.0.0.1')
    }
  })

  test('trusts a peer by its certificate, and no peer without one', async () => {
    const question = questionOf({ uri: '/where', token: tokenOf(city, 'alice') }, HOST)
    const asked = async (shown: object) => {
      const open = (port: number) => connect({ port, host: '127.0.0.1', ca: authority.cert, ...shown })
      const connection = await openRaw(portOf(gateway, 3), 10_000, open)
      connection.send(question)
      const response = await connection.response()
      connection.destroy()
      return response.status
    }
    assert.equal(await asked({ cert: proxy.cert, key: proxy.key }), 200)
    assert.equal(await asked({}), 403)
  })

  test('takes the address behind all proxies that are trusted, and the scheme that they say', async () => {
    const { record } = await ask({ uri: '/where', for: '10.9.9.9, 203.0.113.7, 10.1.2.3', proto: 'http' })
    assert.deepEqual(record.resource, { type: 'Place', id: '203.0.113.7', properties: { scheme: 'http' } })
  })

  test('reads nothing of the question but these headers', async () => {
    const question = questionOf({ token: tokenOf(city, 'alice') }, HOST)
      .replace('GET /decide', 'POST /public/x?uri=/public/x')
      .replace('sallyport.internal', 'other.test')
    const spoofed = ['X-Forwarded-Path: /public/x', 'X-Original-URI: /public/x', 'X-Forwarded-Port: 1']
    const { status, record } = await askAt(
      gateway,
      portOf(gateway, 1),
      question.replace('\r\n\r\n', `\r\n${spoofed.join('\r\n')}\r\nContent-Length: 0\r\n\r\n`),
    )
    assert.deepEqual([status, record.route], [200, 'account'])
  })

  test('refuses headers that only routes may set where this route does not set them', async () => {
    const forged = ['X-Remote-User: carol']
    assert.deepEqual((await ask({ headers: forged })).response.header('x-remote-user'), ['alice'])
    for (const uri of ['/public/x', '/where']) {
      const { status, record } = await ask({ uri, headers: forged })
      assert.deepEqual([status, record.code], [403, 'bad_request'])
    }
    const assertion = ['Sallyport-Assertion: e.y.J']
    assert.equal((await ask({ uri: '/public/x', headers: assertion })).status, 403)
    assert.equal((await ask({ uri: '/watched', headers: assertion })).status, 403)
    assert.equal((await ask({ headers: assertion })).status, 200)
  })

  test('refuses headers by which the application would take it for another request', async () => {
    for (const line of [
      'X-HTTP-Method-Override: DELETE',
      'X-Original-URL: /admin/x',
      'X-Rewrite-URL: /admin/x',
      'X-Original-URL: https://other.test/accounts/7',
    ]) {
      assert.equal((await ask({ headers: [line] })).status, 403, line)
    }
    for (const line of [
      `X-Original-URL: https://${HOST}/accounts/7`,
      'X-Original-URL: /accounts/7',
      'X-HTTP-Method-Override: GET',
    ]) {
      assert.equal((await ask({ headers: [line] })).status, 200, line)
    }
  })

  test('refuses a route whose mapping reads the body, which a question does not bring', async () => {
    const { status, record } = await ask({
      method: 'POST',
      uri: '/accounts/7/transfers',
      headers: ['Content-Type: application/json'],
    })
    assert.deepEqual([status, record.code, record.source], [403, 'bad_request', 'bind'])
  })

  test('lets a request pass that is only watched, without an assertion', async () => {
    const { response, record } = await ask({ uri: '/watched' })
    assert.deepEqual([response.status, response.header('sallyport-assertion')], [200, []])
    assert.deepEqual([record.decision, record.mode, record.forwarded], ['deny', 'observe', true])
  })

  test('decides on a WebSocket handshake as on any request, and answers it', async () => {
    const headers = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13']
    const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
    assert.equal((await ask({ headers: [...headers, key] })).status, 200)
    assert.equal((await ask({ headers: [...headers, key], token: null })).status, 401)
  })

  test('knows a handshake of another origin by a cookie, also where the proxy hides that it is one', async () => {
    const headers = [
      `Cookie: session=${city.credentials.session}`,
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ]
    const from = (origin: string) =>
      ask({ token: null, uri: '/where', headers: [...headers, `Origin: ${origin}`] })
    assert.equal((await from(`https://${HOST}`)).status, 200)
    assert.equal((await from('https://evil.test')).status, 403)
  })

  test('answers no preflight by itself: an allow would send it to the application', async () => {
    const headers = ['Origin: https://app.test', 'Access-Control-Request-Method: GET']
    const { status, record } = await ask({ method: 'OPTIONS', uri: '/paged', token: null, headers })
    assert.deepEqual([status, record.code], [403, 'no_route'])
  })

  test('answers what is no HTTP by 403, with a record', async () => {
    const response = await rawRequest(portOf(gateway, 1), 'GET /x HTTP/1.1\r\nHost\r\n\r\n')
    assert.equal(response.status, 403)
  })

  test('leaves the listener beside it what it is', async () => {
    const { status, record } = await ask({ uri: '/public/x' }, 0)
    assert.deepEqual([status, record.code], [404, 'no_route'])
  })
})

const assertNoStart = async (listeners: string, says: RegExp): Promise<void> => {
  const { world, env } = await buildCity({ upstream: 'http://127.0.0.1:9', settings: { listeners } })
  await assert.rejects(startTestGateway(world, { env }), says)
}

describe('the configuration of such a listener', () => {
  test('is wrong where it would believe everybody', async () => {
    await assertNoStart(
      '[{ bind: 127.0.0.1:0 }, { bind: 127.0.0.1:0, speaks: forward-auth }]',
      /trustedProxies/,
    )
    await assertNoStart(
      '[{ bind: 127.0.0.1:0 }, { bind: 127.0.0.1:0, speaks: forward-auth, trustedProxies: [{ cidrs: [0.0.0.0/0] }] }]',
      /everybody/,
    )
  })

  test('is wrong where every listener is such a one, and a mapping reads the body', async () => {
    await assertNoStart(`[{ bind: 127.0.0.1:0, speaks: forward-auth, ${TRUSTED} }]`, /"transfer".*the body/)
  })

  test('names the headers that are believed where it is a proxy itself', async () => {
    await assertNoStart(`[{ bind: 127.0.0.1:0, ${TRUSTED} }]`, /headers/)
    await assertNoStart(
      '[{ bind: 127.0.0.1:0, trustedProxies: [{ cidrs: [127.0.0.1/32], headers: [x-forwarded-uri] }] }]',
      /x-forwarded-uri/,
    )
  })
})
