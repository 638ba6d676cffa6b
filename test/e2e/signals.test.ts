import assert from 'node:assert/strict'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type HttpBackend, startHttpBackend } from '../support/backend.ts'
import { layOut, readRecords, startGatewayProcess } from '../support/gateway.ts'
import { jwksOf, makeKey, type TestKey } from '../support/tokens.ts'
import {
  ADMIN_TOKEN,
  openSocket,
  startApplication,
  startStreams,
  streamRoutes,
  streamWorld,
  tokenOf,
} from './streams-world.ts'
import { signingKey } from './workers-world.ts'

const ISSUER = 'https://transmitter.test'
const AUDIENCE = 'https://gateway.test/caep'
const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/'
const TOKEN = 'the-token-of-the-transmitter'

let key: TestKey
let stranger: TestKey
let provider: HttpBackend

before(async () => {
  key = await makeKey('set-1', 'RS256')
  stranger = await makeKey('set-2', 'RS256')
  provider = await startHttpBackend((_request, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(jwksOf(key)))
  })
})
after(() => provider.close())

const signals = (): string =>
  `signals: { idp: { issuer: "${ISSUER}", audience: "${AUDIENCE}", jwksUri: "${provider.url}/jwks", token: { env: SET_TOKEN } } }`

let count = 0
const claimsOf = (
  event: string,
  subject: object,
  payload: object = {},
): Readonly<Record<string, unknown>> => {
  count += 1
  return {
    iss: ISSUER,
    aud: AUDIENCE,
    jti: `set-${count}`,
    iat: Math.floor(Date.now() / 1000),
    txn: `txn-${count}`,
    sub_id: subject,
    events: { [event]: { event_timestamp: Math.floor(Date.now() / 1000), ...payload } },
  }
}

const signed = (claims: Readonly<Record<string, unknown>>, by = key, header = {}): Promise<string> =>
  by.sign(claims, { typ: 'secevent+jwt', ...header })

const push = async (port: number, body: string, headers: Readonly<Record<string, string>> = {}) => {
  const reply = await fetch(`http://127.0.0.1:${port}/.well-known/sallyport/signals`, {
    method: 'POST',
    headers: {
      'content-type': 'application/secevent+jwt',
      accept: 'application/json',
      authorization: `Bearer ${TOKEN}`,
      ...headers,
    },
    body,
  })
  const text = await reply.text()
  return { status: reply.status, type: reply.headers.get('content-type'), text }
}

const ALICE = { format: 'iss_sub', iss: ISSUER, sub: 'alice' }
const REVOKED = { reason_admin: { en: 'the laptop was lost' } }

test('a session that is revoked closes the WebSockets of its user on every worker', async (t) => {
  const application = await startApplication()
  const directory = layOut({
    ...(await streamWorld(application.url, {
      routes: streamRoutes('stream: { recheck: 1h }'),
      more: `workers: 2\nassertion: { keyFile: assertion.jwk }\n${signals()}`,
    })),
    'config/assertion.jwk': signingKey(),
  })
  const gateway = await startGatewayProcess(directory, { env: { ADMIN_TOKEN, SET_TOKEN: TOKEN } })
  t.after(async () => {
    gateway.child.kill('SIGKILL')
    await gateway.ended
    await application.close()
    rmSync(directory, { recursive: true, force: true })
  })
  const isUsed = (index: number): boolean => {
    const log = join(directory, `log/decisions.${index}.ndjson`)
    return existsSync(log) && readRecords(log).some(({ decision }) => decision === 'allow')
  }
  const open: Awaited<ReturnType<typeof openSocket>>[] = []
  do open.push(await openSocket(gateway, '/ws/one', await tokenOf('alice', { jti: `t${open.length}` })))
  while (!isUsed(0) || !isUsed(1))
  const bob = await openSocket(gateway, '/ws/two', await tokenOf('bob'))
  const reply = await push(gateway.port, await signed(claimsOf(`${CAEP}session-revoked`, ALICE, REVOKED)))
  assert.deepEqual([reply.status, reply.text], [202, ''])
  assert.deepEqual(new Set(await Promise.all(open.map(({ closed }) => closed))), new Set([1008]))
  assert.equal(bob.socket.readyState, bob.socket.OPEN)
  bob.socket.terminate()
})

const start = (t: Parameters<typeof startStreams>[0]) =>
  startStreams(t, { more: signals(), env: { SET_TOKEN: TOKEN } })

const marks = async (admin: string | null) => {
  const reply = await fetch(`http://${admin}/v1/revocations`, {
    headers: { authorization: `Bearer ${ADMIN_TOKEN}` },
  })
  // What the endpoint answers with.
  const { revocations } = (await reply.json()) as { readonly revocations: readonly Record<string, unknown>[] }
  return revocations
}

test('a session of a complex subject is ended, and not the others of its user', async (t) => {
  const { gateway } = await start(t)
  const first = await openSocket(gateway, '/ws/one', await tokenOf('alice', { sid: 's1', jti: 'a' }))
  const second = await openSocket(gateway, '/ws/one', await tokenOf('alice', { sid: 's2', jti: 'b' }))
  const subject = { format: 'complex', user: ALICE, session: { format: 'opaque', id: 's1' } }
  const reply = await push(gateway.port, await signed(claimsOf(`${CAEP}session-revoked`, subject, REVOKED)))
  assert.equal(reply.status, 202)
  assert.equal(await first.closed, 1008)
  assert.equal(second.socket.readyState, second.socket.OPEN)
  second.socket.terminate()
  const [mark] = await marks(gateway.admin)
  assert.deepEqual([mark?.session, mark?.by], ['s1', 'signals:idp'])
  assert.match(String(mark?.reason), /laptop/)
})

test('what comes again is taken again, and has no effect again', async (t) => {
  const { gateway } = await start(t)
  const token = await signed(
    claimsOf(`${CAEP}credential-change`, ALICE, { credential_type: 'password', change_type: 'update' }),
  )
  assert.equal((await push(gateway.port, token)).status, 202)
  assert.equal((await push(gateway.port, token)).status, 202)
  assert.equal((await marks(gateway.admin)).length, 1)
})

test('what revokes nothing is taken: a verification, an update of the stream, an event of another kind', async (t) => {
  const { gateway } = await start(t)
  const stream = { format: 'opaque', id: 'stream-1' }
  const ssf = 'https://schemas.openid.net/secevent/ssf/event-type/'
  for (const event of [`${ssf}verification`, `${ssf}stream-updated`, `${CAEP}session-established`]) {
    const reply = await push(gateway.port, await signed(claimsOf(event, stream, { state: 'x' })))
    assert.equal(reply.status, 202, event)
  }
  assert.deepEqual(await marks(gateway.admin), [])
})

describe('what is wrong with a token is answered by the code of the standard', () => {
  const good = () => claimsOf(`${CAEP}session-revoked`, ALICE)
  const cases: Readonly<Record<string, readonly [string, () => Promise<string>]>> = {
    'a signature by another key': ['invalid_key', () => signed(good(), stranger, { kid: 'set-1' })],
    'a key that nobody knows': ['invalid_key', () => signed(good(), stranger)],
    'another issuer': ['invalid_issuer', () => signed({ ...good(), iss: 'https://else.test' })],
    'another audience': ['invalid_audience', () => signed({ ...good(), aud: 'https://else.test' })],
    'an access token': ['invalid_request', () => signed(good(), key, { typ: 'at+jwt' })],
    'an expiry': ['invalid_request', () => signed({ ...good(), exp: 4_000_000_000 })],
    'a sub': ['invalid_request', () => signed({ ...good(), sub: 'alice' })],
    'no jti': ['invalid_request', () => signed({ ...good(), jti: undefined })],
    'no events': ['invalid_request', () => signed({ ...good(), events: {} })],
    'a subject of no known format': [
      'invalid_request',
      () => signed({ ...good(), sub_id: { format: 'shoe-size' } }),
    ],
    'somebody of another issuer': [
      'invalid_request',
      () => signed({ ...good(), sub_id: { ...ALICE, iss: 'https://else.test' } }),
    ],
    'no token at all': ['invalid_request', async () => 'hello'],
  }
  test('and nothing is revoked', async (t) => {
    const { gateway } = await start(t)
    for (const [name, [code, make]] of Object.entries(cases)) {
      const reply = await push(gateway.port, await make())
      assert.deepEqual([reply.status, reply.type], [400, 'application/json'], name)
      const answer: Record<string, unknown> = JSON.parse(reply.text)
      assert.equal(answer.err, code, name)
      assert.equal(typeof answer.description, 'string')
    }
    const other = await push(gateway.port, await signed(good()), { 'content-type': 'application/json' })
    assert.equal(JSON.parse(other.text).err, 'invalid_request')
    const nobody = await push(gateway.port, await signed(good()), { authorization: 'Bearer else' })
    assert.deepEqual([nobody.status, JSON.parse(nobody.text).err], [401, 'authentication_failed'])
    assert.deepEqual(await marks(gateway.admin), [])
  })
})
