import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, before, describe, type TestContext, test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import {
  type AuthorizationServer,
  GATEWAY,
  KEYED_GATEWAY,
  startAuthorizationServer,
} from '../support/authorization-server.ts'
import { type RawBackend, startRawBackend } from '../support/backend.ts'
import { createAuthority } from '../support/certificates.ts'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'
import { jwksOf, makeKey, type TestKey } from '../support/tokens.ts'
import { edited, READ, replace, routeMap, world } from './live-world.ts'

let backend: RawBackend
let server: AuthorizationServer
let key: TestKey

before(async () => {
  backend = await startRawBackend()
  server = await startAuthorizationServer()
  key = await makeKey('k1')
})

after(async () => {
  await backend?.close()
  await server?.close()
})

const ISSUER = 'https://idp.example.com'
const POLICY = 'permit (principal, action, resource);'

interface Case {
  /** Flow-style YAML. */
  readonly credentials: string
  readonly route?: string
  readonly authenticate?: string
}

const start = async (
  t: TestContext,
  { credentials, route = READ, authenticate = '[staff]' }: Case,
): Promise<TestGateway> => {
  const staff = `{ type: jwt, issuer: "${ISSUER}", audience: bank, jwksFile: jwks.json }`
  const gateway = await startTestGateway(
    {
      ...world(backend.url, {
        authenticators: `{ staff: ${staff}, cookie: { type: jwt, issuer: "${ISSUER}", audience: bank, jwksFile: jwks.json, cookie: token, prefix: c }, keys: { type: api-key, keysFile: keys.yaml } }`,
        upstreams: `{ app: { url: "${backend.url}", credentials: ${credentials} } }`,
      }),
      'config/routes/app.yaml': routeMap(route, authenticate),
      'config/jwks.json': JSON.stringify(jwksOf(key)),
      'config/password': 'the pässword\n',
      'config/token': 'first-token\n',
      'config/secret': GATEWAY.secret,
      'config/key.jwk': JSON.stringify(server.gatewayKey),
      'policies/main.cedar': POLICY,
    },
    {},
  )
  t.after(gateway.close)
  return gateway
}

const tokenFor = (sub: string): Promise<string> => {
  const iat = Math.floor(Date.now() / 1000)
  return key.sign({ iss: ISSUER, aud: 'bank', sub, iat, exp: iat + 600 })
}

const ask = async (gateway: TestGateway, headers: Readonly<Record<string, string>>): Promise<number> => {
  const answer = await fetch(`http://127.0.0.1:${gateway.port}/things/one`, { headers })
  await answer.arrayBuffer()
  return answer.status
}

/** What the application was shown last. */
const shown = (name = 'authorization'): readonly string[] => backend.requests.at(-1)?.header(name) ?? []

describe('what an application is shown by the gateway', () => {
  test('is a name and a password, in place of what the caller and the route say', async (t) => {
    const route = `${READ}    headers: { Authorization: "of the route" }\n`
    const gateway = await start(t, {
      credentials: '{ type: basic, username: sallyport, password: { file: password } }',
      route,
    })
    assert.equal(await ask(gateway, { authorization: `Bearer ${await tokenFor('alice')}` }), 200)
    assert.deepEqual(shown(), [`Basic ${Buffer.from('sallyport:the pässword').toString('base64')}`])
  })

  test('is a token, which an edit replaces', async (t) => {
    const gateway = await start(t, { credentials: '{ type: bearer, token: { file: token } }' })
    const headers = { authorization: `Bearer ${await tokenFor('alice')}` }
    assert.equal(await ask(gateway, headers), 200)
    assert.deepEqual(shown(), ['Bearer first-token'])
    await edited(gateway, () => replace(gateway, 'config/token', 'second-token'))
    assert.equal(await ask(gateway, headers), 200)
    assert.deepEqual(shown(), ['Bearer second-token'])
  })

  test('is a token of an authorization server, asked for once and kept', async (t) => {
    const gateway = await start(t, {
      credentials: `{ type: client_credentials, tokenEndpoint: "${server.tokenEndpoint}", clientId: ${GATEWAY.id}, clientSecret: { file: secret }, scope: read }`,
    })
    const calls = server.calls('/token')
    const headers = { authorization: `Bearer ${await tokenFor('alice')}` }
    assert.deepEqual(await Promise.all([1, 2, 3].map(() => ask(gateway, headers))), [200, 200, 200])
    const [value] = shown()
    assert.match(value ?? '', /^Bearer [\w-]+$/)
    assert.notEqual(value, headers.authorization)
    assert.equal(server.calls('/token'), calls + 1)
    assert.equal(JSON.stringify(gateway.records()).includes(value?.slice(7) ?? '?'), false)
  })

  test('is asked for by a private key where the authorization server wants one', async (t) => {
    const gateway = await start(t, {
      credentials: `{ type: client_credentials, tokenEndpoint: "${server.tokenEndpoint}", clientId: ${KEYED_GATEWAY.id}, privateKey: { file: key.jwk }, assertionAudience: "${server.issuer}", resource: "urn:core", header: X-Backend-Token }`,
    })
    assert.equal(await ask(gateway, { authorization: `Bearer ${await tokenFor('alice')}` }), 200)
    assert.equal(shown('x-backend-token')[0]?.split('.').length, 3)
    assert.deepEqual(shown(), [])
  })
})

describe('credentials that are not to be had', () => {
  test('are a recorded refusal, and no request without them', async (t) => {
    const gateway = await start(t, {
      credentials: `{ type: client_credentials, tokenEndpoint: "${server.tokenEndpoint}", clientId: ${GATEWAY.id}, clientSecret: { file: password } }`,
    })
    const before = backend.requests.length
    assert.equal(await ask(gateway, { authorization: `Bearer ${await tokenFor('alice')}` }), 502)
    assert.equal(backend.requests.length, before)
    const [allowed, refused] = gateway.records().slice(-2)
    assert.deepEqual(
      [allowed?.code, refused?.code, refused?.follows],
      ['allowed', 'upstream_unavailable', allowed?.id],
    )
  })

  const troubles: Readonly<Record<string, (request: IncomingMessage, response: ServerResponse) => void>> = {
    'says nothing': () => undefined,
    'hangs up': (request) => request.socket.destroy(),
    'answers HTML': (_request, response) => response.end('<html>'),
    'answers 500 with a token': (_request, response) =>
      response.writeHead(500).end('{"access_token":"t","token_type":"Bearer"}'),
    redirects: (_request, response) => response.writeHead(302, { location: '/' }).end('{}'),
    'gives a token of another type': (_request, response) =>
      response.end('{"access_token":"t","token_type":"mac"}'),
    'gives a token that would split the header': (_request, response) =>
      response.end('{"access_token":"t\\r\\nX: y","token_type":"Bearer"}'),
    'gives no token': (_request, response) => response.end('{"token_type":"Bearer"}'),
  }
  for (const [what, answer] of Object.entries(troubles)) {
    test(`from a server that ${what}: refused`, async (t) => {
      const url = await serve(t, answer)
      const gateway = await start(t, {
        credentials: `{ type: client_credentials, tokenEndpoint: "${url}", clientId: gw, clientSecret: { file: secret }, timeout: 300ms }`,
      })
      const before = backend.requests.length
      assert.equal(await ask(gateway, { authorization: `Bearer ${await tokenFor('alice')}` }), 502)
      assert.equal(backend.requests.length, before)
    })
  }
})

const serve = async (
  t: TestContext,
  answer: (request: IncomingMessage, response: ServerResponse, body: URLSearchParams) => void,
): Promise<string> => {
  const made = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    answer(request, response, new URLSearchParams(body))
  })
  await new Promise<void>((resolve) => made.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    made.closeAllConnections()
    made.close()
  })
  return `http://127.0.0.1:${(made.address() as AddressInfo).port}/token`
}

describe('token exchange', () => {
  /** No authorization server among the packages exchanges tokens, so this one says what it was asked. */
  const exchanging = async (t: TestContext) => {
    const asked: Record<string, string>[] = []
    const url = await serve(t, (_request, response, body) => {
      asked.push(Object.fromEntries(body))
      const [, payload = ''] = (body.get('subject_token') ?? '').split('.')
      const { sub } = JSON.parse(Buffer.from(payload, 'base64url').toString())
      if (sub === 'mallory') response.writeHead(400).end('{"error":"invalid_grant"}')
      else
        response.end(
          JSON.stringify({
            access_token: `for-${sub}`,
            token_type: 'Bearer',
            issued_token_type: 'urn:ietf:params:oauth:token-type:access_token',
            expires_in: 300,
          }),
        )
    })
    const credentials = `{ type: token-exchange, tokenEndpoint: "${url}", clientId: gw, clientSecret: { file: secret }, audience: core }`
    return { asked, credentials }
  }

  test('shows the application a token for each caller, exchanged once', async (t) => {
    const { asked, credentials } = await exchanging(t)
    const gateway = await start(t, { credentials })
    const [alice, bob] = [await tokenFor('alice'), await tokenFor('bob')]
    for (const [token, expected] of [
      [alice, 'for-alice'],
      [bob, 'for-bob'],
      [alice, 'for-alice'],
    ] as const) {
      assert.equal(await ask(gateway, { authorization: `Bearer ${token}` }), 200)
      assert.deepEqual(shown(), [`Bearer ${expected}`])
    }
    assert.equal(asked.length, 2)
    assert.deepEqual(asked[0], {
      audience: 'core',
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: alice,
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
    })
  })

  test('takes the token from a cookie, too', async (t) => {
    const { credentials } = await exchanging(t)
    const gateway = await start(t, { credentials, authenticate: '[cookie]' })
    assert.equal(await ask(gateway, { cookie: `a=b; token=${await tokenFor('alice')}; c=d` }), 200)
    assert.deepEqual(shown(), ['Bearer for-alice'])
    assert.deepEqual(shown('cookie'), ['a=b; c=d'])
  })

  test('that is refused for a caller denies that caller alone', async (t) => {
    const { credentials } = await exchanging(t)
    const gateway = await start(t, { credentials })
    const before = backend.requests.length
    assert.equal(await ask(gateway, { authorization: `Bearer ${await tokenFor('mallory')}` }), 403)
    assert.equal(backend.requests.length, before)
    assert.equal(await ask(gateway, { authorization: `Bearer ${await tokenFor('alice')}` }), 200)
  })

  test('is not for callers without a token', async (t) => {
    const { credentials } = await exchanging(t)
    const { KEY } = await import('./live-world.ts')
    const gateway = await start(t, { credentials, authenticate: '[keys]' })
    const before = backend.requests.length
    assert.equal(await ask(gateway, { 'x-api-key': KEY.key }), 403)
    assert.equal(backend.requests.length, before)
  })
})

describe('a certificate for the application', () => {
  test('is shown to it, and a new one after an edit', async (t) => {
    const authority = createAuthority()
    const own = authority.issue({ commonName: 'app', names: ['127.0.0.1'] })
    const first = authority.issue({ commonName: 'gateway one' })
    const second = authority.issue({ commonName: 'gateway two' })
    const seen: string[] = []
    const options = {
      cert: own.cert,
      key: own.key,
      ca: authority.cert,
      requestCert: true,
      rejectUnauthorized: true,
    }
    const application = createTlsServer(options, (request, response) => {
      const { subject } = (request.socket as TLSSocket).getPeerCertificate()
      seen.push(String(subject.CN))
      response.end('ok')
    })
    await new Promise<void>((resolve) => application.listen(0, '127.0.0.1', resolve))
    const url = `https://127.0.0.1:${(application.address() as AddressInfo).port}`
    const gateway = await startTestGateway({
      ...world(url, {
        authenticators: '{ nobody: { type: anonymous } }',
        upstreams: `{ app: { url: "${url}", tls: { caFile: ca.pem, certFile: gw.crt, keyFile: gw.key } } }`,
      }),
      'config/routes/app.yaml': routeMap(READ, '[nobody]'),
      'config/ca.pem': authority.cert,
      'config/gw.crt': first.cert + first.key,
      'config/gw.key': first.key,
      'policies/main.cedar': POLICY,
    })
    t.after(async () => {
      await gateway.close()
      application.closeAllConnections()
      application.close()
    })
    assert.equal(await ask(gateway, {}), 200)
    replace(gateway, 'config/gw.crt', second.cert)
    await edited(gateway, () => replace(gateway, 'config/gw.key', second.key))
    await gateway.gateway.reload()
    assert.equal(await ask(gateway, {}), 200)
    assert.deepEqual(seen, ['gateway one', 'gateway two'])
  })
})
