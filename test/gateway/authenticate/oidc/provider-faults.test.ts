import assert from 'node:assert/strict'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { after, afterEach, before, describe, test } from 'node:test'
import { CLIENT_ID } from '../../../support/identity-provider.ts'
import { makeKey } from '../../../support/tokens.ts'
import { nonceOf } from './sealed.ts'
import { beginSignIn, newVisitor, type OidcWorld, sessionOf, startOidcWorld } from './world.ts'

type Fault = (request: IncomingMessage, response: ServerResponse) => void

const json =
  (value: unknown): Fault =>
  (_request, response) =>
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))

/** Only what goes to this place. */
const at =
  (place: string, fault: Fault) =>
  (request: IncomingMessage, response: ServerResponse): boolean => {
    if (!request.url?.startsWith(place)) return false
    fault(request, response)
    return true
  }

const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

describe('a provider', () => {
  let world: OidcWorld
  let key: Awaited<ReturnType<typeof makeKey>>
  before(async () => {
    key = await makeKey('k1', 'RS256')
    world = await startOidcWorld({
      authenticator: '    timeout: 500ms',
      provider: { jwks: { keys: [{ ...key.privateJwk }] } },
    })
    // What it publishes is known by the time that it fails.
    await world.signIn(newVisitor(), 'alice')
  })
  afterEach(() => world.provider.misbehave(null))
  after(() => world.close())

  const claims = () => {
    const now = Math.floor(Date.now() / 1000)
    return { iss: world.provider.issuer, aud: CLIENT_ID, sub: 'mallory', iat: now, exp: now + 600 }
  }
  const tokens = (idToken: string) => ({ access_token: 'x', token_type: 'bearer', id_token: idToken })

  const faults: Readonly<Record<string, Fault>> = {
    'answers 500': (_request, response) => response.writeHead(500).end('broken'),
    'answers 200 with HTML': (_request, response) =>
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html>hello'),
    'answers JSON that is none': (_request, response) =>
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"access_token":'),
    'answers with a list': json([1, 2, 3]),
    'answers with nothing': json({}),
    'answers without an ID token': json({ access_token: 'x', token_type: 'bearer' }),
    'answers with an ID token that is none': json(tokens('x.y.z')),
    'does not know this client': (_request, response) =>
      response
        .writeHead(401, { 'content-type': 'application/json', 'www-authenticate': 'Basic' })
        .end(JSON.stringify({ error: 'invalid_client' })),
    'is troubled': (_request, response) =>
      response
        .writeHead(503, { 'content-type': 'application/json' })
        .end(JSON.stringify({ error: 'invalid_grant' })),
    redirects: (_request, response) =>
      response.writeHead(307, { location: 'http://127.0.0.1:1/token' }).end(),
    'hangs up': (_request, response) => response.destroy(),
    'never answers': () => undefined,
    'never ends': (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).write('{')
    },
    'answers 3 MB': json({ access_token: 'x'.repeat(3_000_000) }),
  }
  for (const [name, fault] of Object.entries(faults)) {
    test(`that ${name} where the code is redeemed lets nobody in, and is told apart`, async () => {
      const visitor = newVisitor()
      const callback = await beginSignIn(visitor, world, 'alice')
      world.provider.misbehave(at('/token', fault))
      const answer = await visitor.ask(callback)
      assert.equal(answer.status, 503)
      assert.deepEqual(sessionOf(visitor, world), [])
      assert.equal(world.gateway.records().at(-1)?.code, 'authenticator_unavailable')
    })
  }

  describe('whose ID token', () => {
    /** What becomes of a sign-in that ends with this ID token. */
    const endWith = async (make: (nonce: string) => Promise<string>) => {
      const visitor = newVisitor()
      const callback = await beginSignIn(visitor, world, 'alice')
      const idToken = await make(await nonceOf(world, visitor))
      world.provider.misbehave(at('/token', json(tokens(idToken))))
      const { status } = await visitor.ask(callback)
      return `${status} ${sessionOf(visitor, world).length}`
    }

    test('is signed by its own key lets people in', async () => {
      assert.equal(await endWith((nonce) => key.sign({ ...claims(), nonce })), '303 1')
    })

    test('is signed by a key that it does not publish lets nobody in', async () => {
      const other = await makeKey('k1', 'RS256')
      assert.equal(await endWith((nonce) => other.sign({ ...claims(), nonce })), '503 0')
    })

    test('has the nonce of another sign-in lets nobody in (replayed nonce)', async () => {
      const other = newVisitor()
      await beginSignIn(other, world, 'mallory')
      const replayed = await nonceOf(world, other)
      assert.equal(await endWith(() => key.sign({ ...claims(), nonce: replayed })), '401 0')
    })

    for (const [name, more] of [
      ['is for another client', { aud: 'other' }],
      ['is for several clients, one of them this one', { aud: [CLIENT_ID, 'other'], azp: 'other' }],
      ['is from another provider', { iss: 'https://evil.example' }],
      ['has expired', { exp: 1 }],
      ['names nobody', { sub: undefined }],
      ['has no nonce', { nonce: undefined }],
    ] as const) {
      test(`${name} lets nobody in`, async () => {
        assert.equal(await endWith((nonce) => key.sign({ ...claims(), nonce, ...more })), '503 0')
      })
    }

    test('is not signed, or signed with the secret, lets nobody in', async () => {
      for (const alg of ['none', 'HS256']) {
        const forged = async (nonce: string) =>
          `${encoded({ alg })}.${encoded({ ...claims(), nonce })}.${alg === 'none' ? '' : 'AAAA'}`
        assert.equal(await endWith(forged), '503 0')
        world.provider.misbehave(null)
      }
    })
  })

  test('that says no to a code is no fault, and a bad sign-in', async () => {
    const visitor = newVisitor()
    const callback = new URL(await beginSignIn(visitor, world, 'alice'))
    callback.searchParams.set('code', 'no code of anybody')
    assert.equal((await visitor.ask(callback.href)).status, 401)
    assert.equal(world.gateway.records().at(-1)?.code, 'unauthenticated')
  })

  test('that sends people back with an error is told from one that has trouble', async () => {
    for (const [error, status] of [
      ['access_denied', 401],
      ['login_required', 401],
      ['<script>', 401],
      ['server_error', 503],
      ['temporarily_unavailable', 503],
    ] as const) {
      const visitor = newVisitor()
      const callback = new URL(await beginSignIn(visitor, world, 'alice'))
      callback.searchParams.delete('code')
      callback.searchParams.set('error', error)
      const answer = await visitor.ask(callback.href)
      assert.equal(answer.status, status, error)
      assert.ok(!answer.body.includes('<script>'))
      assert.deepEqual(sessionOf(visitor, world), [])
    }
  })

  test('that is down does not sign anybody out', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'alice')
    world.provider.misbehave((_request, response) => {
      response.destroy()
      return true
    })
    assert.equal((await visitor.ask(`${world.url}/a`)).status, 200)
  })

  test('is told of in the log and in a metric when it fails', async () => {
    assert.ok(world.logLines.some((line) => line.includes('The provider did not do what it was asked')))
    const metrics = await newVisitor().ask(`http://${world.gateway.admin}/metrics`)
    assert.match(metrics.body, /code="authenticator_unavailable"[^\n]*\} [1-9]/)
  })
})

describe('a provider that was never there', () => {
  test('makes signing in impossible, at once, and nothing else', async () => {
    const world = await startOidcWorld({ authenticator: '    timeout: 300ms' })
    try {
      world.provider.misbehave((_request, response) => {
        response.writeHead(404).end()
        return true
      })
      const visitor = newVisitor()
      assert.equal((await visitor.ask(`${world.url}/a`)).status, 302)
      const answer = await visitor.ask(`${world.url}/.sallyport/login`)
      assert.equal(answer.status, 503)
      assert.equal(world.gateway.records().at(-1)?.code, 'authenticator_unavailable')
      const out = await visitor.ask(`${world.url}/.sallyport/logout`)
      assert.equal(out.status, 200)
      assert.match(out.body, /You are signed out/)
      world.provider.misbehave(null)
      // A moment later it is asked again, and somebody can sign in.
      let last = 503
      for (let attempt = 0; attempt < 100 && last === 503; attempt += 1) {
        last = (await visitor.ask(`${world.url}/.sallyport/login`)).status
        if (last === 503) await new Promise((resolve) => setTimeout(resolve, 100))
      }
      assert.equal(last, 303)
    } finally {
      await world.close()
    }
  })
})
