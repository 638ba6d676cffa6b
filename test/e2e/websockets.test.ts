import assert from 'node:assert/strict'
import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { decodeJwt } from 'jose'
import WebSocket, { WebSocketServer } from 'ws'
import { closedPort } from '../support/backend.ts'
import { createAuthority } from '../support/certificates.ts'
import {
  type GatewayProcess,
  type LoggedRecord,
  layOut,
  readRecords,
  startGatewayProcess,
  startTestGateway,
  type TestGateway,
} from '../support/gateway.ts'
import { openRaw } from '../support/raw-http.ts'
import { handshake } from '../support/websocket.ts'
import { buildCity, type City, HOST, tokenOf } from './city.ts'
import { edited, read, replace } from './live-world.ts'

const ROUTES = `defaults: { host: ${HOST}, upstream: core, engine: city, authenticate: [staff, browser, partners] }
routes:
  - { name: open, match: "GET /open/{*rest}", access: public }
  - name: watched
    match: GET /watched/{id}
    mode: observe
    evaluation: { action: read, resource: { type: Thing, id: $path.id, properties: { name: $path.id } } }
    headers: { X-Remote-User: $subject.id }
  - name: compared
    match: GET /compared/{id}
    shadow: draft
    evaluation: { action: read, resource: { type: Thing, id: $path.id, properties: { name: $path.id } } }
  - name: encrypted
    match: GET /encrypted/{id}
    evaluation:
      action: read
      resource: { type: Thing, id: $path.id, properties: { name: $path.id } }
      context: { tls: $request.tls, scheme: $request.scheme }
  - name: with-body
    match: GET /with-body
    evaluation: { action: read, resource: { type: Thing, id: $body.id } }
  - { name: down, match: GET /down, upstream: down, access: public }
  - { name: silent, match: GET /silent, upstream: silent, access: public }
`

const DRAFT = '@id("nobody") forbid (principal, action, resource);\n'

/** An application with the WebSocket server that everybody uses. */
const startApplication = async () => {
  const handshakes: IncomingMessage[] = []
  let connections = 0
  const server = createServer((_request, response) => response.end('no WebSocket'))
  server.on('connection', () => {
    connections += 1
  })
  const sockets = new WebSocketServer({ server })
  sockets.on('connection', (socket, request) => {
    handshakes.push(request)
    socket.on('message', (data, binary) => socket.send(data, { binary }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // An address object is certain here: the server listens on TCP.
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    handshakes,
    connections: () => connections,
    close: () =>
      new Promise<void>((resolve) => {
        for (const socket of sockets.clients) socket.terminate()
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** Takes connections and says nothing. */
const startSilence = async () => {
  const sockets: Socket[] = []
  let tell = (_socket: Socket): void => undefined
  const server = createTcpServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    socket.resume()
    tell(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // An address object is certain here: the server listens on TCP.
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    next: () =>
      new Promise<Socket>((resolve) => {
        tell = resolve
      }),
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

const certificates = createAuthority()
const gatewayCertificate = certificates.issue({ commonName: 'gateway', names: [HOST] })

let city: City
let application: Awaited<ReturnType<typeof startApplication>>
let silence: Awaited<ReturnType<typeof startSilence>>
let gateway: TestGateway
let tlsPort = 0

before(async () => {
  application = await startApplication()
  silence = await startSilence()
  city = await buildCity({
    upstream: application.url,
    settings: {
      listeners: '[{ bind: 127.0.0.1:0 }, { bind: 127.0.0.1:0, tls: { certFile: gw.crt, keyFile: gw.key } }]',
      engines:
        '{ city: { type: cedar, policies: [../policies/*.cedar] }, draft: { type: cedar, policies: [../drafts/*.cedar] } }',
      upstreams: `{ core: { url: "${application.url}" }, down: { url: "http://127.0.0.1:${await closedPort()}" }, silent: { url: "${silence.url}", headersTimeout: 500ms } }`,
    },
  })
  gateway = await startTestGateway(worldOf(city), { env: city.env, watch: { quietMs: 20, patienceMs: 200 } })
  tlsPort = Number(gateway.gateway.addresses[1]?.split(':')[1])
})

after(async () => {
  await gateway.close()
  await application.close()
  await silence.close()
})

const worldOf = ({ world }: City) => ({
  ...world,
  'config/routes/sockets.yaml': ROUTES,
  'config/gw.crt': gatewayCertificate.cert,
  'config/gw.key': gatewayCertificate.key,
  'drafts/draft.cedar': DRAFT,
})

interface Opened {
  readonly client: WebSocket
  readonly headers: IncomingMessage['headers']
}

interface Refused {
  readonly status: number
  readonly headers: IncomingMessage['headers']
}

interface Asked {
  readonly headers?: Readonly<Record<string, string>>
  readonly origin?: string
  readonly tls?: boolean
  readonly port?: number
}

const open = (path: string, asked: Asked = {}): Promise<Opened | Refused> =>
  new Promise((resolve, reject) => {
    const { tls = false, headers = {}, origin } = asked
    const port = asked.port ?? (tls ? tlsPort : gateway.port)
    const client = new WebSocket(`${tls ? 'wss' : 'ws'}://127.0.0.1:${port}${path}`, {
      headers: { Host: HOST, ...headers },
      ...(origin === undefined ? {} : { origin }),
      ...(tls ? { ca: certificates.cert, servername: HOST } : {}),
    })
    let answered: IncomingMessage['headers'] = {}
    client.on('upgrade', (response) => {
      answered = response.headers
    })
    client.on('open', () => resolve({ client, headers: answered }))
    client.on('unexpected-response', (request, response) => {
      response.resume()
      request.destroy()
      resolve({ status: response.statusCode ?? 0, headers: response.headers })
    })
    client.on('error', reject)
  })

const opened = async (path: string, asked?: Asked): Promise<Opened> => {
  const outcome = await open(path, asked)
  assert.ok('client' in outcome, `refused with ${'status' in outcome ? outcome.status : ''}`)
  return outcome
}

const refusedWith = async (path: string, asked?: Asked): Promise<Refused> => {
  const outcome = await open(path, asked)
  assert.ok('status' in outcome, 'not refused')
  return outcome
}

const echo = async (client: WebSocket, text: string): Promise<void> => {
  const answer = new Promise((resolve) => client.once('message', (data) => resolve(String(data))))
  client.send(text)
  assert.equal(await answer, text)
}

const close = async (client: WebSocket): Promise<number> => {
  const closed = new Promise<number>((resolve) => client.once('close', resolve))
  client.close(1000)
  return closed
}

const as = (name: string): Asked => ({ headers: { Authorization: `Bearer ${tokenOf(city, name)}` } })

const recordOf = ({ headers }: Pick<Opened, 'headers'>): LoggedRecord => {
  const id = headers['sallyport-decision-id']
  const record = gateway.records().find((each) => each.id === id)
  assert.ok(record !== undefined, 'the answer has the id of a record')
  return record
}

const lastHandshake = (): IncomingMessage => {
  const request = application.handshakes.at(-1)
  assert.ok(request !== undefined)
  return request
}

describe('a WebSocket by a client that knows nothing of the gate', () => {
  for (const tls of [false, true]) {
    test(`is decided, recorded and carried, over ${tls ? 'TLS' : 'TCP'}`, async () => {
      const path = '/accounts/7?b=%2F&a=//x&b=2&'
      const seen = await opened(path, { ...as('alice'), tls })
      await echo(seen.client, 'hello')
      assert.equal(await close(seen.client), 1000)
      const { decision, route, subject, request } = recordOf(seen)
      assert.deepEqual([decision, route, subject], ['allow', 'account', { type: 'User', id: 'alice' }])
      assert.equal(Reflect.get(Object(request), 'path'), '/accounts/7')
      const { url, headers } = lastHandshake()
      assert.equal(url, path)
      assert.equal(headers['x-remote-user'], 'alice')
      assert.equal(headers.authorization, undefined)
      assert.equal(headers['x-forwarded-proto'], tls ? 'https' : 'http')
      assert.equal(headers.host, HOST)
      assert.equal(headers['sallyport-decision-id'], seen.headers['sallyport-decision-id'])
      const claims = decodeJwt(String(headers['sallyport-assertion']))
      assert.deepEqual([claims.sub, claims.aud, claims.route], ['alice', 'core', 'account'])
    })
  }

  test('opens again on a grant', async () => {
    const [first, second] = [
      await opened('/accounts/9', as('alice')),
      await opened('/accounts/9', as('alice')),
    ]
    assert.deepEqual([recordOf(first).source, recordOf(second).source], ['engine', 'grant'])
    for (const { client } of [first, second]) assert.equal(await close(client), 1000)
  })

  const refusals: Readonly<Record<string, readonly [string, string | null, number, string]>> = {
    'of one who may not': ['/accounts/7', 'bob', 403, 'denied'],
    'of what nobody may': ['/accounts/secret', 'alice', 403, 'denied'],
    'of nobody': ['/accounts/7', null, 401, 'unauthenticated'],
    'of what is not there': ['/nothing', 'alice', 404, 'no_route'],
    'by a path in disguise': ['/open/..%2Faccounts/7', 'alice', 400, 'bad_request'],
    'whose mapping reads a body': ['/with-body', 'alice', 400, 'bad_request'],
  }
  for (const [name, [path, who, status, code]] of Object.entries(refusals)) {
    test(`${name} is refused before the application hears of it`, async () => {
      const before = application.connections()
      const seen = await refusedWith(path, who === null ? {} : as(who))
      assert.equal(seen.status, status)
      assert.deepEqual([recordOf(seen).decision, recordOf(seen).code], ['deny', code])
      assert.equal(application.connections(), before)
    })
  }

  test('on a public route is open to all, and carries no credential', async () => {
    const headers = {
      Authorization: `Bearer ${tokenOf(city, 'alice')}`,
      'X-Api-Key': city.credentials.apiKey,
      Cookie: `a=1; session=${city.credentials.session}; b=2`,
    }
    const seen = await opened('/open/a', { headers })
    await echo(seen.client, 'hello')
    assert.equal(recordOf(seen).source, 'route')
    const { headers: got } = lastHandshake()
    assert.deepEqual([got.authorization, got['x-api-key'], got.cookie], [undefined, undefined, 'a=1; b=2'])
    await close(seen.client)
  })

  test('on a route that observes opens for who would be refused, and vouches for nobody', async () => {
    const denied = await opened('/watched/1', as('bob'))
    await echo(denied.client, 'hello')
    const record = recordOf(denied)
    assert.deepEqual([record.decision, record.code, record.mode], ['deny', 'denied', 'observe'])
    assert.equal(lastHandshake().headers['sallyport-assertion'], undefined)
    const unknown = await opened('/watched/1')
    assert.deepEqual([recordOf(unknown).code, recordOf(unknown).mode], ['unauthenticated', 'observe'])
    assert.equal(lastHandshake().headers['x-remote-user'], undefined)
    const allowed = await opened('/watched/1', as('alice'))
    assert.equal(recordOf(allowed).decision, 'allow')
    assert.ok(lastHandshake().headers['sallyport-assertion'] !== undefined)
    for (const { client } of [denied, unknown, allowed]) await close(client)
  })

  test('on a route with a shadow engine is recorded with what that says', async () => {
    const seen = await opened('/compared/1', as('alice'))
    const shadow = Object(recordOf(seen).shadow)
    assert.deepEqual([shadow.engine, shadow.agrees, shadow.decision], ['draft', false, 'deny'])
    await close(seen.client)
  })

  test('tells the mapping whether it came encrypted', async () => {
    for (const tls of [true, false]) {
      const seen = await opened('/encrypted/1', { ...as('alice'), tls })
      assert.deepEqual(recordOf(seen).context, { tls, scheme: tls ? 'https' : 'http' })
      await close(seen.client)
    }
  })

  test('goes to where the rewrite says', async () => {
    const seen = await opened('/old/5', as('alice'))
    assert.equal(lastHandshake().url, '/v2/things/5')
    await close(seen.client)
  })
})

describe('a WebSocket that a cookie signs in', () => {
  const cookie = () => ({ headers: { Cookie: `session=${city.credentials.session}; theme=dark` } })

  for (const tls of [false, true]) {
    test(`opens from a page of the same origin over ${tls ? 'TLS' : 'TCP'}, and leaves the cookie here`, async () => {
      const seen = await opened('/accounts/7', {
        ...cookie(),
        tls,
        origin: `${tls ? 'https' : 'http'}://${HOST}`,
      })
      assert.deepEqual(recordOf(seen).subject, { type: 'User', id: 'web|visitor' })
      assert.equal(lastHandshake().headers.cookie, 'theme=dark')
      await close(seen.client)
    })
  }

  for (const origin of ['http://evil.test', `https://${HOST}`, `http://${HOST}:8080`, 'null', undefined]) {
    test(`does not open from ${origin ?? 'nowhere'}`, async () => {
      const before = application.connections()
      const seen = await refusedWith('/accounts/7', {
        ...cookie(),
        ...(origin === undefined ? {} : { origin }),
      })
      assert.equal(seen.status, 403)
      assert.deepEqual([recordOf(seen).code, recordOf(seen).source], ['denied', 'authenticate'])
      assert.equal(application.connections(), before)
    })
  }

  test('is nobody where the route observes', async () => {
    const seen = await opened('/watched/1', { ...cookie(), origin: 'http://evil.test' })
    assert.deepEqual([recordOf(seen).code, recordOf(seen).subject], ['denied', undefined])
    assert.equal(lastHandshake().headers['x-remote-user'], undefined)
    assert.equal(lastHandshake().headers['sallyport-assertion'], undefined)
    await close(seen.client)
  })
})

describe('an application that fails', () => {
  for (const [path, status, code] of [
    ['/down', 502, 'upstream_unavailable'],
    ['/silent', 504, 'upstream_timeout'],
  ] as const) {
    test(`is answered for with ${status}, and has a second record`, async () => {
      const seen = await refusedWith(path)
      assert.equal(seen.status, status)
      const record = recordOf(seen)
      assert.deepEqual([record.decision, record.code, record.source], ['deny', code, 'enforce'])
      const first = gateway.records().find(({ id }) => id === record.follows)
      assert.equal(first?.decision, 'allow')
    })
  }

  test('is left by a caller that leaves, with one record', async () => {
    const next = silence.next()
    const caller = await openRaw(gateway.port)
    caller.send(handshake('/silent', '', HOST))
    const socket = await next
    const before = gateway.records().length
    const left = new Promise((resolve) => socket.once('close', resolve))
    caller.socket.resetAndDestroy()
    await left
    assert.equal(gateway.records().length, before)
  })
})

describe('a WebSocket that is open', () => {
  test('outlives an edit that leaves its route as it is, and not one that removes it', async () => {
    const { client } = await opened('/open/a')
    const closed = new Promise<number>((resolve) => client.once('close', resolve))
    const routes = read(gateway, 'config/routes/sockets.yaml')
    const edit = (text: string) => edited(gateway, () => replace(gateway, 'config/routes/sockets.yaml', text))
    const added = `${routes}  - { name: added, match: GET /added, access: public }\n`
    assert.equal((await edit(added)).outcome, 'applied')
    await echo(client, 'still here')
    const without = routes.replace(/.*name: open,.*\n/, '')
    assert.notEqual(without, routes)
    assert.equal((await edit(without)).outcome, 'applied')
    assert.equal(await closed, 1008)
    assert.equal((await refusedWith('/open/a')).status, 404)
    assert.equal((await edit(routes)).outcome, 'applied')
  })

  test('is told to go away when its listener does', async () => {
    const { client } = await opened('/open/a', { tls: true })
    const closed = new Promise<number>((resolve) => client.once('close', resolve))
    const file = read(gateway, 'config/sallyport.yaml')
    const edit = (text: string) => edited(gateway, () => replace(gateway, 'config/sallyport.yaml', text))
    assert.equal((await edit(file.replace(/, \{ bind: 127\.0\.0\.1:0, tls:.*\}\]/, ']'))).outcome, 'applied')
    assert.equal(await closed, 1001)
    assert.equal((await edit(file)).outcome, 'applied')
  })
})

describe('a process that is told to stop', () => {
  let child: GatewayProcess

  test('closes its WebSockets with 1001, and exits with 0', async () => {
    const directory = layOut(worldOf(city))
    child = await startGatewayProcess(directory, { env: city.env })
    const { port } = child
    const sockets = await Promise.all([opened('/open/a', { port }), opened('/open/b', { port })])
    for (const { client } of sockets) await echo(client, 'hello')
    const closed = sockets.map(
      ({ client }) => new Promise<number>((resolve) => client.once('close', resolve)),
    )
    child.child.kill('SIGTERM')
    assert.deepEqual(await Promise.all(closed), [1001, 1001])
    assert.equal(await child.ended, 0)
    const records = readRecords(join(directory, 'log/decisions.ndjson'))
    const ends = records.filter(({ stream }) => stream !== undefined)
    assert.deepEqual([records.length, ends.length], [4, 2])
  })

  after(() => child.child.kill('SIGKILL'))
})
