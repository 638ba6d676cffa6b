import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, type TestContext, test } from 'node:test'
import { isRefusal } from '../../../src/core/refusals.ts'
import {
  type AuthorizationServer,
  CALLER,
  GATEWAY,
  KEYED_GATEWAY,
  startAuthorizationServer,
} from '../../support/authorization-server.ts'
import { makeDpopKey } from '../../support/dpop.ts'
import { jwksOf, makeKey } from '../../support/tokens.ts'
import {
  BAD,
  bearer,
  CLAIMS,
  identityOf,
  NOW,
  outcomeOf,
  prepare,
  refusalOf,
  requestOf,
  routeOf,
  STAFF,
  stageOf,
  testClock,
} from './harness.ts'

const ROUTE = routeOf('tokens')
const PATH = '/token/introspection'

/** The harness's clock stands still; the authorization server's does not. */
const clockOfNow = () => {
  const clock = testClock()
  clock.advance(Date.now() - clock.nowMs())
  return clock
}

describe('against a real authorization server', () => {
  let server: AuthorizationServer

  before(async () => {
    server = await startAuthorizationServer()
  })
  after(() => server?.close())

  const stageWith = (t: TestContext, config: object = {}, clock = clockOfNow()) => {
    const stage = stageOf(
      {
        tokens: {
          type: 'introspection',
          endpoint: server.introspection,
          clientId: GATEWAY.id,
          clientSecret: { env: GATEWAY.secret },
          subject: { type: 'Program', id: '$claims.client_id' },
          timeout: '10s',
          ...config,
        },
      },
      { clock },
    )
    t.after(stage.close)
    return stage
  }

  test('an opaque token is taken, and asked about once while it is fresh', async (t) => {
    const clock = clockOfNow()
    const { authenticate } = stageWith(t, {}, clock)
    const token = await server.issue()
    const before = server.calls(PATH)
    const [first, second] = await Promise.all([1, 2].map(() => authenticate(bearer(token), ROUTE)))
    assert.equal(first && outcomeOf(first), `Program ${CALLER.id}`)
    assert.equal(second && outcomeOf(second), `Program ${CALLER.id}`)
    const known = authenticate(bearer(token), ROUTE)
    assert.equal(known instanceof Promise, false)
    assert.equal(server.calls(PATH), before + 1)
    clock.advance(30_000)
    await authenticate(bearer(token), ROUTE)
    assert.equal(server.calls(PATH), before + 2)
  })

  test('a revoked token is refused once its answer is old, and is not asked about for a while', async (t) => {
    const clock = clockOfNow()
    const { authenticate } = stageWith(t, { cacheTtl: '1s' }, clock)
    const token = await server.issue()
    assert.equal(outcomeOf(await authenticate(bearer(token), ROUTE)), `Program ${CALLER.id}`)
    await server.revoke(token)
    clock.advance(1000)
    assert.equal(outcomeOf(await authenticate(bearer(token), ROUTE)), BAD)
    const before = server.calls(PATH)
    assert.equal(outcomeOf(await authenticate(bearer(token), ROUTE)), BAD)
    assert.equal(server.calls(PATH), before)
    clock.advance(5000)
    await authenticate(bearer(token), ROUTE)
    assert.equal(server.calls(PATH), before + 1)
  })

  test('the gateway proves itself by a private key', async (t) => {
    const { authenticate } = stageWith(t, {
      clientId: KEYED_GATEWAY.id,
      clientSecret: undefined,
      privateKey: { env: JSON.stringify(server.gatewayKey) },
      assertionAudience: server.issuer,
    })
    assert.equal(outcomeOf(await authenticate(bearer(await server.issue()), ROUTE)), `Program ${CALLER.id}`)
  })

  test('a wrong secret of the gateway is its own fault, not that of the caller', async (t) => {
    const { authenticate } = stageWith(t, { clientSecret: { env: 'wrong' } })
    const refusal = refusalOf(await authenticate(bearer(await server.issue()), ROUTE))
    assert.equal(refusal.refusal, 'authenticator_unavailable')
  })

  test('scopes are required of it as of any token', async (t) => {
    const { authenticate } = stageWith(t, { require: { scopes: ['write'] } })
    assert.equal(refusalOf(await authenticate(bearer(await server.issue()), ROUTE)).refusal, 'denied')
    const token = await server.issue({ scope: 'read write' })
    assert.equal(outcomeOf(await authenticate(bearer(token), ROUTE)), `Program ${CALLER.id}`)
  })

  test('a token that is bound by DPoP needs its proof with each request', async (t) => {
    const { authenticate } = stageWith(t)
    const holder = await makeDpopKey()
    const token = await server.issue({ dpop: holder })
    const now = Math.floor(Date.now() / 1000)
    const proved = async () =>
      authenticate(
        requestOf('Authorization', `DPoP ${token}`, 'DPoP', await holder.prove(now, { token })),
        ROUTE,
      )
    assert.equal(outcomeOf(await proved()), `Program ${CALLER.id}`)
    assert.equal(outcomeOf(await proved()), `Program ${CALLER.id}`)
    assert.match(outcomeOf(await authenticate(bearer(token), ROUTE)), /unauthenticated/)
  })

  test('a route that takes JWTs too leaves them to those who read them', async (t) => {
    const clock = clockOfNow()
    const key = await makeKey('k1')
    const stage = stageOf(
      {
        tokens: {
          type: 'introspection',
          endpoint: server.introspection,
          clientId: GATEWAY.id,
          clientSecret: { env: GATEWAY.secret },
          subject: { type: 'Program', id: '$claims.client_id' },
        },
        staff: STAFF,
      },
      { clock, files: { 'jwks.json': jwksOf(key) } },
    )
    t.after(stage.close)
    const route = routeOf('tokens', 'staff')
    const iat = Math.floor(clock.nowMs() / 1000)
    const jwt = await key.sign({ ...CLAIMS, iat, nbf: iat, exp: iat + 60 })
    assert.equal(outcomeOf(await stage.authenticate(bearer(jwt), route)), 'User alice')
    assert.equal(
      outcomeOf(await stage.authenticate(bearer(await server.issue()), route)),
      `Program ${CALLER.id}`,
    )
  })
})

describe('a provider that misbehaves', () => {
  type Answer = (request: IncomingMessage, response: ServerResponse) => void

  /** Only a made-up provider answers so; it counts how often it is asked. */
  const against = async (t: TestContext, answer: Answer, config: object = {}) => {
    let calls = 0
    const server = createServer((request, response) => {
      calls += 1
      request.resume()
      request.on('end', () => answer(request, response))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const clock = testClock()
    const { port } = server.address() as AddressInfo
    const stage = stageOf(
      {
        tokens: {
          type: 'introspection',
          endpoint: `http://127.0.0.1:${port}/introspect`,
          clientId: 'gateway',
          clientSecret: { env: 'secret' },
          timeout: '300ms',
          ...config,
        },
      },
      { clock },
    )
    t.after(() => {
      stage.close()
      server.closeAllConnections()
      server.close()
    })
    return {
      ask: (token: string) => stage.authenticate(bearer(token), ROUTE),
      calls: () => calls,
      clock,
      server,
    }
  }

  const saying =
    (body: unknown, status = 200): Answer =>
    (_request, response) =>
      response
        .writeHead(status, { 'content-type': 'application/json' })
        .end(typeof body === 'string' ? body : JSON.stringify(body))

  const nonsense: Readonly<Record<string, Answer>> = {
    'answers 500': saying({ active: true, sub: 'alice' }, 500),
    'answers 401': saying({ active: true, sub: 'alice' }, 401),
    'answers 204': (_request, response) => response.writeHead(204).end(),
    'answers text': saying('active'),
    'answers a list': saying([{ active: true }]),
    'answers null': saying('null'),
    'does not say whether it is active': saying({ sub: 'alice' }),
    'says so in text': saying({ active: 'true', sub: 'alice' }),
    'says so by a number': saying({ active: 1, sub: 'alice' }),
    redirects: (_request, response) => response.writeHead(302, { location: '/' }).end(),
    'hangs up': (request) => request.socket.destroy(),
    'says nothing': () => undefined,
    'stops half way': (_request, response) =>
      response.writeHead(200, { 'content-length': '99' }).write('{"active":'),
  }
  for (const [what, answer] of Object.entries(nonsense)) {
    test(`and ${what} is unavailable, which is no fault of the token`, async (t) => {
      const { ask } = await against(t, answer)
      const refusal = refusalOf(await ask('token'))
      assert.equal(refusal.refusal, 'authenticator_unavailable')
      assert.equal(JSON.stringify(refusal).includes('"token"'), false)
    })
  }

  test('is not asked again for a while after some failures, and then by one request only', async (t) => {
    let works = false
    const { ask, calls, clock } = await against(t, (request, response) =>
      works ? saying({ active: true, sub: 'alice' })(request, response) : request.socket.destroy(),
    )
    for (const token of ['a', 'b', 'c', 'd', 'e']) {
      assert.equal(refusalOf(await ask(token)).refusal, 'authenticator_unavailable')
    }
    assert.equal(calls(), 3)
    works = true
    clock.advance(1000)
    const results = await Promise.all(['f', 'g', 'h'].map((token) => ask(token)))
    assert.deepEqual(
      results.map((result) => (isRefusal(result) ? result.refusal : outcomeOf(result))),
      ['User alice', 'authenticator_unavailable', 'authenticator_unavailable'],
    )
    assert.equal(outcomeOf(await ask('i')), 'User alice')
  })

  const answers: Readonly<Record<string, readonly [object, string, object?]>> = {
    'a token of another issuer': [{ iss: 'https://other.example' }, BAD, { issuer: 'https://idp.example' }],
    'a token for another audience': [{ aud: 'shop' }, BAD, { audience: 'bank' }],
    'a token for no audience': [{}, BAD, { audience: 'bank' }],
    'a token for us': [{ aud: ['shop', 'bank'] }, 'User alice', { audience: 'bank' }],
    'a token that has ended': [{ exp: NOW - 5 }, BAD],
    'a token whose end is text': [{ exp: String(NOW + 60) }, BAD],
    'a token of the future': [{ nbf: NOW + 6 }, BAD],
    'a token without a sub': [{ sub: undefined }, 'denied'],
    'a token that is bound by an unknown method': [{ cnf: { kid: 'k1' } }, BAD],
  }
  for (const [what, [claims, outcome, config = {}]] of Object.entries(answers)) {
    test(`an active answer about ${what}: ${outcome}`, async (t) => {
      const { ask } = await against(t, saying({ active: true, sub: 'alice', ...claims }), config)
      assert.equal(outcomeOf(await ask('token')), outcome)
    })
  }

  test('an answer is not kept beyond the end of its token', async (t) => {
    const { ask, calls, clock } = await against(t, saying({ active: true, sub: 'alice', exp: NOW + 3 }))
    assert.equal(identityOf(await ask('token')).credential.expiresAt, NOW + 3)
    clock.advance(2999)
    await ask('token')
    assert.equal(calls(), 1)
    clock.advance(1)
    await ask('token')
    assert.equal(calls(), 2)
  })

  test('what has not the form of a token is not sent to it', async (t) => {
    const { ask, calls } = await against(t, saying({ active: true, sub: 'alice' }))
    for (const odd of ['', 'a b', 'a"b', 'ü', 'a=b', 'x'.repeat(20_000)])
      assert.equal(outcomeOf(await ask(odd)), BAD)
    assert.equal(calls(), 0)
  })
})

describe('the configuration', () => {
  const base = { type: 'introspection', endpoint: 'https://idp.example.com/introspect', clientId: 'gw' }
  const problems = (config: object) =>
    prepare('tokens', { ...base, ...config }).problems.map(({ path }) => path.join('.'))

  test('needs one way to prove the gateway, and an endpoint that is not plain http', () => {
    assert.deepEqual(problems({ clientSecret: { env: 's' } }), [])
    assert.deepEqual(problems({}), [''])
    assert.deepEqual(problems({ clientSecret: { env: 's' }, privateKey: { env: 'x' } }), ['', 'privateKey'])
    assert.deepEqual(problems({ privateKey: { env: '{"kty":"oct","k":"AAAA"}' } }), ['privateKey'])
    assert.deepEqual(problems({ endpoint: 'http://idp.example.com/', clientSecret: { env: 's' } }), [
      'endpoint',
    ])
  })
})
