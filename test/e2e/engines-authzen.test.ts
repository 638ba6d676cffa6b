import assert from 'node:assert/strict'
import { createServer, type IncomingMessage, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { createAuthority } from '../support/certificates.ts'
import { lastRecord, startAskedGateway } from './engines-world.ts'

type Json = Readonly<Record<string, unknown>>
interface Asked {
  readonly path: string
  readonly body: Json
  readonly headers: IncomingMessage['headers']
  /** Common name of the client's certificate, where there is one. */
  readonly client: string | undefined
}

interface Engine {
  readonly url: string
  readonly asked: readonly Asked[]
  answer: (asked: Asked) => { readonly status: number; readonly body: Json }
  /** Null: none. */
  metadata: Json | null
}

const startEngine = async (
  t: TestContext,
  server: Server = createServer(),
  scheme = 'http',
): Promise<Engine> => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // An address object is certain here: the server listens on TCP.
  const url = `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`
  const asked: Asked[] = []
  const engine: Engine = {
    url,
    asked,
    answer: ({ body }) => {
      const { evaluations } = body as { readonly evaluations?: readonly Json[] }
      const one = { decision: true }
      return {
        status: 200,
        body: evaluations === undefined ? one : { evaluations: evaluations.map(() => one) },
      }
    },
    metadata: null,
  }
  server.on('request', async (request: IncomingMessage, response) => {
    let text = ''
    for await (const chunk of request) text += chunk
    const path = request.url ?? ''
    const reply = (status: number, body: Json): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    }
    if (path === '/.well-known/authzen-configuration')
      return engine.metadata === null ? reply(404, {}) : reply(200, engine.metadata)
    const { socket } = request
    const client = 'getPeerCertificate' in socket ? commonName(socket as TLSSocket) : undefined
    const one = { path, body: JSON.parse(text) as Json, headers: request.headers, client }
    asked.push(one)
    const { status, body } = engine.answer(one)
    reply(status, body)
  })
  t.after(
    () =>
      new Promise((resolve) => {
        server.close(resolve)
        server.closeAllConnections()
      }),
  )
  return engine
}

const commonName = (socket: TLSSocket): string | undefined => String(socket.getPeerCertificate().subject?.CN)

const ROUTES = `  - name: read-account
    match: GET /accounts/{id}
    evaluation: { action: read, resource: { type: Account, id: $path.id }, context: { some: 1 } }
  - name: several
    match: GET /several/{one}/{two}
    evaluations:
      action: read
      evaluations:
        - resource: { type: Account, id: $path.one, properties: { side: debit } }
        - resource: { type: Account, id: $path.two, properties: { side: credit } }
`

const start = async (t: TestContext, engine: Engine, more = '', files = {}) => {
  const engines = `{ main: { type: authzen, url: "${engine.url}", timeout: 10s, poll: 100ms${more} } }`
  const gateway = await startAskedGateway({ engines, routes: ROUTES, files })
  t.after(gateway.close)
  return gateway
}

test('an engine gets the fields of the specification, at its default paths, and a request id', async (t) => {
  const engine = await startEngine(t)
  const gateway = await start(t, engine)
  assert.equal((await gateway.get('alice', '/accounts/1')).status, 200)
  const [asked] = engine.asked
  assert.equal(asked?.path, '/access/v1/evaluation')
  assert.deepEqual(asked?.body, {
    subject: { type: 'User', id: 'alice' },
    action: { name: 'read' },
    resource: { type: 'Account', id: '1' },
    context: { some: 1 },
  })
  assert.equal(asked?.headers['content-type'], 'application/json')
  assert.equal(asked?.headers['x-request-id'], lastRecord(gateway).engineDecisionId)
  assert.equal(asked?.headers.authorization, undefined)
})

test('the endpoints of the metadata are used', async (t) => {
  const engine = await startEngine(t)
  engine.metadata = {
    policy_decision_point: engine.url,
    access_evaluation_endpoint: `${engine.url}/one`,
    access_evaluations_endpoint: `${engine.url}/several`,
    unknown: true,
  }
  const gateway = await start(t, engine)
  await gateway.get('alice', '/accounts/1')
  await gateway.get('alice', '/several/1/2')
  assert.deepEqual(
    engine.asked.map(({ path }) => path),
    ['/one', '/several'],
  )
})

test('metadata about another engine, or with endpoints elsewhere, is ignored', async (t) => {
  for (const metadata of [
    { policy_decision_point: 'http://evil.test', access_evaluation_endpoint: 'ENGINE/evil' },
    { policy_decision_point: 'ENGINE', access_evaluation_endpoint: 'http://evil.test/evil' },
    { access_evaluation_endpoint: 'ENGINE/evil' },
  ]) {
    const engine = await startEngine(t)
    engine.metadata = JSON.parse(JSON.stringify(metadata).replaceAll('ENGINE', engine.url)) as Json
    const gateway = await start(t, engine)
    assert.equal((await gateway.get('alice', '/accounts/1')).status, 200)
    assert.equal(engine.asked[0]?.path, '/access/v1/evaluation')
  }
})

test('questions about one id are not sent together, and others are', async (t) => {
  const engine = await startEngine(t)
  const gateway = await start(t, engine)
  assert.equal((await gateway.get('alice', '/several/1/2')).status, 200)
  assert.deepEqual(
    engine.asked.map(({ path }) => path),
    ['/access/v1/evaluations'],
  )
  assert.equal((await gateway.get('alice', '/several/1/1')).status, 200)
  assert.deepEqual(
    engine.asked.slice(1).map(({ path }) => path),
    ['/access/v1/evaluation', '/access/v1/evaluation'],
  )
})

test('an engine without evaluations is asked one by one', async (t) => {
  const engine = await startEngine(t)
  const { answer } = engine
  engine.answer = (asked) => (asked.path.endsWith('evaluations') ? { status: 404, body: {} } : answer(asked))
  const gateway = await start(t, engine)
  assert.equal((await gateway.get('alice', '/several/1/2')).status, 200)
  assert.equal((await gateway.get('alice', '/several/1/2')).status, 200)
  assert.deepEqual(
    engine.asked.map(({ path }) => path.replace('/access/v1/', '')),
    ['evaluations', 'evaluation', 'evaluation', 'evaluation', 'evaluation'],
  )
})

test('fewer or more decisions than questions are no decision', async (t) => {
  const engine = await startEngine(t)
  const gateway = await start(t, engine)
  for (const count of [0, 1, 3]) {
    engine.answer = () => ({ status: 200, body: { evaluations: Array(count).fill({ decision: true }) } })
    assert.equal((await gateway.get('alice', '/several/1/2')).status, 503)
  }
})

test('the reason for the user is in the answer, that for the administrator in the record alone', async (t) => {
  const engine = await startEngine(t)
  const gateway = await start(t, engine)
  const context = { reason_user: { '403': 'Not on a Sunday.' }, reason_admin: { '403': 'rule sunday-7' } }
  engine.answer = () => ({ status: 200, body: { decision: false, context } })
  const refused = await gateway.get('alice', '/accounts/1')
  const text = await refused.text()
  assert.equal(refused.status, 403)
  assert.match(text, /Not on a Sunday\./)
  assert.ok(!text.includes('sunday-7'))
  assert.equal(lastRecord(gateway).adminReason, 'rule sunday-7')
})

test('an allow with an obligation that is not understood is none', async (t) => {
  const engine = await startEngine(t)
  const gateway = await start(t, engine)
  for (const obligations of [
    [{ id: '1', type: 'notification', properties: { to: 'x', body: 'y' } }],
    [{ id: '1', type: 'step-up', properties: { acr_value: 'urn:loa:3' } }],
    ['nonsense'],
    { id: '1' },
    'text',
  ]) {
    engine.answer = () => ({ status: 200, body: { decision: true, context: { obligations } } })
    assert.equal((await gateway.get('alice', '/accounts/1')).status, 403)
    const { code, errors } = lastRecord(gateway)
    assert.equal(code, 'denied')
    assert.match(String(errors), /obligations/)
  }
  engine.answer = () => ({ status: 200, body: { decision: true, context: { obligations: [] } } })
  assert.equal((await gateway.get('alice', '/accounts/1')).status, 200)
})

test('a token proves Sallyport to the engine, which an engine that refuses it makes no deny', async (t) => {
  const engine = await startEngine(t)
  const gateway = await start(t, engine, ', token: { file: token }', { 'config/token': 'engine-token-1\n' })
  assert.equal((await gateway.get('alice', '/accounts/1')).status, 200)
  assert.equal(engine.asked[0]?.headers.authorization, 'Bearer engine-token-1')
  engine.answer = () => ({ status: 401, body: {} })
  assert.equal((await gateway.get('alice', '/accounts/1')).status, 503)
  assert.equal(lastRecord(gateway).code, 'engine_unavailable')
})

test('both sides can be known by certificates', async (t) => {
  const authority = createAuthority()
  const own = authority.issue({ commonName: 'engine', names: ['127.0.0.1'] })
  const client = authority.issue({ commonName: 'sallyport' })
  const server = createTlsServer({ ...own, ca: authority.cert, requestCert: true, rejectUnauthorized: true })
  const engine = await startEngine(t, server, 'https')
  const files = { 'config/ca.pem': authority.cert, 'config/gw.crt': client.cert, 'config/gw.key': client.key }
  const known = await start(t, engine, ', tls: { caFile: ca.pem, certFile: gw.crt, keyFile: gw.key }', files)
  assert.equal((await known.get('alice', '/accounts/1')).status, 200)
  assert.equal(engine.asked[0]?.client, 'sallyport')
  const unknown = await start(t, engine, ', tls: { caFile: ca.pem }', files)
  assert.equal((await unknown.get('alice', '/accounts/1')).status, 503)
  const other = { ...files, 'config/ca.pem': createAuthority().cert }
  const misled = await start(t, engine, ', tls: { caFile: ca.pem, certFile: gw.crt, keyFile: gw.key }', other)
  assert.equal((await misled.get('alice', '/accounts/1')).status, 503)
})
