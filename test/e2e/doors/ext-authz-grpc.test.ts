import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type ChannelCredentials, Client, credentials, type ServiceError } from '@grpc/grpc-js'
import protobuf from 'protobufjs'
import { createAuthority } from '../../support/certificates.ts'
import { startTestGateway, type TestGateway, type World } from '../../support/gateway.ts'
import { buildCity, type City, HOST, tokenOf } from '../city.ts'
import { portOf } from './asking.ts'

/** Of Envoy's published messages, the parts that its client sends and reads; names and numbers as published. */
const PROTO = `syntax = "proto3";
message CheckRequest { AttributeContext attributes = 1; }
message AttributeContext {
  Peer source = 1; Peer destination = 2; Request request = 4;
  map<string, string> context_extensions = 10; TLSSession tls_session = 12;
}
message TLSSession { string sni = 1; }
message Peer { Address address = 1; string service = 2; string principal = 4; string certificate = 5; }
message Address { oneof address { SocketAddress socket_address = 1; Pipe pipe = 2; } }
message Pipe { string path = 1; }
message SocketAddress { int32 protocol = 1; string address = 2; oneof port_specifier { uint32 port_value = 3; string named_port = 4; } }
message Request { HttpRequest http = 2; }
message HttpRequest {
  string id = 1; string method = 2; map<string, string> headers = 3; string path = 4; string host = 5; string scheme = 6;
  string query = 7; string fragment = 8; int64 size = 9; string protocol = 10; string body = 11; bytes raw_body = 12;
  HeaderMap header_map = 13;
}
message HeaderMap { repeated HeaderValue headers = 1; }
message HeaderValue { string key = 1; string value = 2; bytes raw_value = 3; }
message CheckResponse {
  Status status = 1;
  oneof http_response { DeniedHttpResponse denied_response = 2; OkHttpResponse ok_response = 3; }
  Struct dynamic_metadata = 4;
}
message Status { int32 code = 1; string message = 2; }
message HttpStatus { int32 code = 1; }
message BoolValue { bool value = 1; }
message HeaderValueOption { HeaderValue header = 1; BoolValue append = 2; int32 append_action = 3; }
message DeniedHttpResponse { HttpStatus status = 1; repeated HeaderValueOption headers = 2; string body = 3; }
message OkHttpResponse {
  repeated HeaderValueOption headers = 2; repeated string headers_to_remove = 5;
  repeated HeaderValueOption response_headers_to_add = 6;
}
message Struct { map<string, Value> fields = 1; }
message Value { oneof kind { int32 null_value = 1; double number_value = 2; string string_value = 3; bool bool_value = 4; } }
`
const { root } = protobuf.parse(PROTO, { keepCase: true })
const requestType = root.lookupType('CheckRequest')
const responseType = root.lookupType('CheckResponse')
const PATH = '/envoy.service.auth.v3.Authorization/Check'
const DEADLINE_MS = 10_000

interface Option {
  readonly header: { readonly key: string; readonly value: string }
  readonly append: { readonly value: boolean }
}

interface Checked {
  readonly status: { readonly code: number } | null
  readonly ok_response?: {
    readonly headers: readonly Option[]
    readonly headers_to_remove: readonly string[]
  }
  readonly denied_response?: {
    readonly status: { readonly code: number }
    readonly headers: readonly Option[]
    readonly body: string
  }
  readonly dynamic_metadata: {
    readonly fields: Readonly<Record<string, { readonly string_value: string }>>
  } | null
}

const TRUSTED = 'trustedProxies: [{ cidrs: [127.0.0.1/32, 10.0.0.0/8] }]'
const LISTENERS = `
  - { bind: 127.0.0.1:0 }
  - { bind: 127.0.0.1:0, speaks: ext-authz-grpc, ${TRUSTED} }
  - { bind: 127.0.0.1:0, speaks: ext-authz-grpc, trustedProxies: [{ cidrs: [10.0.0.0/8] }] }
  - { bind: 127.0.0.1:0, speaks: ext-authz-grpc, tls: { certFile: tls/gw.crt, keyFile: tls/gw.key, clientCaFile: tls/ca.pem, clientCert: optional } }`

// Nothing listens there.
const ENGINES =
  '{ city: { type: cedar, policies: [../policies/*.cedar] }, security: { type: cedar, policies: [security.cedar] }, away: { type: opa, url: "http://127.0.0.1:1", path: a/b } }'

const SECURITY = `permit (principal, action, resource);
@id("nobody-there") forbid (principal, action, resource == Account::"sealed");
`

const MORE_ROUTES = `defaults: { host: ${HOST}, upstream: core, engine: city, authenticate: [staff, browser] }
routes:
  - { name: open, match: "GET /public/{*rest}", access: public }
  - { name: away, match: GET /away, engine: away, evaluation: { action: read, resource: { type: Place, id: away } } }
  - { name: where, match: GET /where, evaluation: { action: read, resource: { type: Place, id: $request.ip, properties: { scheme: $request.scheme } } } }
`

describe('a listener that speaks ext-authz-grpc', () => {
  const authority = createAuthority()
  const server = authority.issue({ commonName: 'gateway', names: ['localhost', '127.0.0.1'] })
  const envoy = authority.issue({ commonName: 'envoy' })
  let city: City
  let files: World
  let gateway: TestGateway
  const clients: Client[] = []

  before(async () => {
    city = await buildCity({
      upstream: 'http://127.0.0.1:9',
      settings: {
        listeners: LISTENERS,
        engines: ENGINES,
        baseline: 'security',
        limits: '{ bodyBytes: 65536 }',
      },
    })
    files = {
      ...city.world,
      'config/routes/more.yaml': MORE_ROUTES,
      'config/security.cedar': SECURITY,
      'config/tls/gw.crt': server.cert,
      'config/tls/gw.key': server.key,
      'config/tls/ca.pem': authority.cert,
    }
    gateway = await startTestGateway(files, { env: city.env })
  })
  after(async () => {
    for (const client of clients) client.close()
    await gateway.close()
  })

  const clientOf = (
    listener: number,
    by: ChannelCredentials = credentials.createInsecure(),
    asked = gateway,
  ): Client => {
    const client = new Client(`127.0.0.1:${portOf(asked, listener)}`, by)
    clients.push(client)
    return client
  }

  const call = (client: Client, bytes: Buffer): Promise<Checked> =>
    new Promise((resolve, reject) => {
      const done = (error: ServiceError | null, response?: Buffer): void => {
        if (error !== null) reject(error)
        else {
          const decoded = responseType.decode(response ?? Buffer.alloc(0))
          resolve(responseType.toObject(decoded, { defaults: true, arrays: true }) as unknown as Checked)
        }
      }
      const same = (buffer: Buffer): Buffer => buffer
      client.makeUnaryRequest(PATH, same, same, bytes, { deadline: Date.now() + DEADLINE_MS }, done)
    })

  const message = (http: object, headers: Readonly<Record<string, string>> = {}): Buffer => {
    const authorization = `Bearer ${tokenOf(city, 'alice')}`
    const attributes = {
      source: { address: { socket_address: { address: '10.0.0.2', port_value: 4711 } } },
      request: {
        http: {
          id: '1',
          method: 'GET',
          path: '/accounts/7',
          host: HOST,
          scheme: 'https',
          protocol: 'HTTP/1.1',
          headers: {
            ':authority': HOST,
            ':path': '/accounts/7',
            authorization,
            'x-forwarded-for': '203.0.113.9,10.0.0.2',
            ...headers,
          },
          ...http,
        },
      },
      context_extensions: { route: 'x' },
    }
    return Buffer.from(requestType.encode(requestType.fromObject({ attributes })).finish())
  }

  const check = (http: object = {}, headers: Readonly<Record<string, string>> = {}, listener = 1) =>
    call(clientOf(listener), message(http, headers))

  const recordOf = ({ dynamic_metadata }: Checked) => {
    const id = dynamic_metadata?.fields.decisionId?.string_value
    const record = gateway.records().find((each) => each.id === id)
    assert.ok(record !== undefined, `there is a record ${id}`)
    return record
  }

  test('is told no when the record cannot be kept', async () => {
    const file = 'config/sallyport.yaml'
    const full = (files[file] ?? '').replace('../log/decisions.ndjson', '/dev/full')
    const unrecorded = await startTestGateway({ ...files, [file]: full }, { env: city.env })
    try {
      const checked = await call(clientOf(1, undefined, unrecorded), message({}))
      assert.equal(checked.denied_response?.status.code, 503)
      assert.equal(checked.ok_response ?? null, null)
    } finally {
      await unrecorded.close()
    }
  })

  test("asks the gateway's baseline too", async () => {
    const checked = await check({ path: '/accounts/sealed' })
    assert.equal(checked.denied_response?.status.code, 403)
    const record = recordOf(checked)
    assert.deepEqual([record.engine, record.reasons], ['security + city', ['nobody-there']])
  })

  test('tells an allow, what is to be set and what is to be removed, and its decision id', async () => {
    const cookie = `a=1; session=${city.credentials.session}`
    const checked = await check({}, { cookie, 'x-remote-user': 'carol' })
    assert.equal(checked.status?.code ?? 0, 0)
    const set = new Map(checked.ok_response?.headers.map(({ header }) => [header.key, header.value]))
    assert.deepEqual([set.get('x-remote-user'), set.get('cookie')], ['alice', 'a=1'])
    assert.ok(set.has('sallyport-assertion'))
    assert.ok(!set.has('content-length') && !set.has('cache-control'))
    assert.ok(checked.ok_response?.headers.every(({ append }) => append !== null && append.value !== true))
    assert.ok(checked.ok_response?.headers_to_remove.includes('authorization'))
    assert.ok(!checked.ok_response?.headers_to_remove.includes('x-remote-user'))
    const record = recordOf(checked)
    assert.deepEqual(
      [record.decision, record.route, Object(record.request).ip],
      ['allow', 'account', '203.0.113.9'],
    )
  })

  test('tells refusals as denials, with the status, the headers and the body that a caller would get', async () => {
    for (const [http, headers, status, code] of [
      [{}, { authorization: '' }, 401, 'unauthenticated'],
      [{}, { authorization: `Bearer ${tokenOf(city, 'bob')}` }, 403, 'denied'],
      [{ path: '/nowhere' }, {}, 404, 'no_route'],
      [{ path: '/public/../accounts/7' }, {}, 400, 'bad_request'],
      [{ path: '//public/x' }, {}, 400, 'bad_request'],
      [{ path: 'public/x' }, {}, 400, 'bad_request'],
      [{ path: '/secret?x=/public/x' }, {}, 404, 'no_route'],
      [{ path: '/public/x', query: 'a=b' }, {}, 400, 'bad_request'],
      [{ path: '/public/x', fragment: 'a' }, {}, 400, 'bad_request'],
      [{ path: '/public/x#a' }, {}, 400, 'bad_request'],
      [{ path: '/public/x', method: 'get' }, {}, 400, 'bad_request'],
      [{ path: '/public/x', host: 'a;b' }, {}, 400, 'bad_request'],
      [{ path: '/public/x' }, { host: 'other.test' }, 400, 'bad_request'],
      [{ path: '/public/x' }, { 'x-forwarded-for': 'junk' }, 400, 'bad_request'],
      [{ path: '/public/x' }, { x_remote_user: 'carol' }, 400, 'bad_request'],
    ] as const) {
      const checked = await check(http, headers)
      assert.deepEqual([http, headers, checked.denied_response?.status.code], [http, headers, status])
      assert.notEqual(checked.status?.code ?? 0, 0)
      const problem = JSON.parse(checked.denied_response?.body ?? '')
      assert.deepEqual([problem.status, problem.code, recordOf(checked).code], [status, code, code])
    }
    const { denied_response: denied } = await check({}, { authorization: '' })
    assert.ok(denied?.headers.some(({ header }) => header.key === 'www-authenticate'))
  })

  test('denies with 503 while the engine is away, so that failure_mode_allow lets nothing pass', async () => {
    const checked = await check({ path: '/away' })
    assert.deepEqual(
      [checked.denied_response?.status.code, recordOf(checked).code],
      [503, 'engine_unavailable'],
    )
  })

  test('refuses a merged header that may stand for two where a decision or a credential is in it', async () => {
    const tenant = { path: '/tenant' }
    assert.equal((await check(tenant, { 'x-tenant': 'a' })).denied_response, undefined)
    const merged = await check(tenant, { 'x-tenant': 'a,b' })
    assert.equal(merged.denied_response?.status.code, 400)
    const twice = await check({}, { authorization: `Bearer ${tokenOf(city, 'alice')},Bearer x` })
    assert.equal(twice.denied_response?.status.code, 400)
  })

  test('takes headers as they came where Envoy sends them so, and refuses those that are repeated', async () => {
    const raw = (...more: readonly (readonly [string, string])[]) => ({
      headers: {},
      header_map: {
        headers: [
          ['authorization', `Bearer ${tokenOf(city, 'alice')}`] as const,
          ['x-forwarded-for', '203.0.113.9'] as const,
          ...more,
        ].map(([key, value]) => ({ key, raw_value: Buffer.from(value, 'latin1') })),
      },
    })
    const comma = await check({ path: '/tenant', ...raw(['x-tenant', 'a,b']) })
    assert.equal(Object(recordOf(comma).resource).id, 'a,b')
    const twice = await check({ path: '/tenant', ...raw(['x-tenant', 'a'], ['x-tenant', 'b']) })
    assert.equal(twice.denied_response?.status.code, 400)
    const odd = await check({ path: '/public/x', ...raw(['x-odd', 'a\r\nb: c']) })
    assert.equal(odd.denied_response?.status.code, 400)
    const latin = await check({ path: '/public/x', ...raw(['x-odd', '\xff\xfe']) })
    assert.equal(latin.denied_response, undefined)
  })

  test('reads a body that Envoy says is whole, and no other', async () => {
    const http = {
      method: 'POST',
      path: '/accounts/7/transfers',
      raw_body: Buffer.from('{"to":"8"}'),
      size: 10,
    }
    const type = { 'content-type': 'application/json' }
    const whole = await check(http, { ...type, 'x-envoy-auth-partial-body': 'false' })
    assert.equal(recordOf(whole).code, 'allowed')
    for (const said of [{}, { 'x-envoy-auth-partial-body': 'true' }]) {
      const cut = await check(http, { ...type, ...said })
      assert.deepEqual([cut.denied_response?.status.code, recordOf(cut).code], [400, 'bad_request'])
    }
  })

  test('takes the peer that Envoy tells where it passes on no X-Forwarded-For', async () => {
    const bare = Buffer.from(
      requestType
        .encode(
          requestType.fromObject({
            attributes: {
              source: { address: { socket_address: { address: '198.51.100.7', port_value: 1 } } },
              request: {
                http: {
                  method: 'GET',
                  path: '/where',
                  host: HOST,
                  scheme: 'https',
                  headers: { authorization: `Bearer ${tokenOf(city, 'alice')}` },
                },
              },
            },
          }),
        )
        .finish(),
    )
    const { resource } = recordOf(await call(clientOf(1), bare))
    assert.deepEqual(resource, { type: 'Place', id: '198.51.100.7', properties: { scheme: 'https' } })
  })

  test('denies what is no such message, and records it', async () => {
    for (const bytes of [Buffer.from('junk'), Buffer.alloc(0)]) {
      const checked = await call(clientOf(1), bytes)
      assert.equal(checked.denied_response?.status.code, 400)
      assert.equal(recordOf(checked).code, 'bad_request')
    }
  })

  test('answers a message over the limit by an error, and the next one as ever', async () => {
    const client = clientOf(1)
    await assert.rejects(call(client, message({ body: 'x'.repeat(300_000) })), { code: 8 })
    assert.equal((await call(client, message({}))).denied_response, undefined)
  })

  test('denies every question of a peer that is not trusted', async () => {
    const checked = await check({ path: '/public/x' }, {}, 2)
    assert.deepEqual([checked.denied_response?.status.code, recordOf(checked).code], [403, 'denied'])
  })

  test('trusts a peer by its certificate, and no peer without one', async () => {
    const ca = Buffer.from(authority.cert)
    const shown = credentials.createSsl(ca, Buffer.from(envoy.key), Buffer.from(envoy.cert))
    assert.equal((await call(clientOf(3, shown), message({}))).denied_response, undefined)
    const checked = await call(clientOf(3, credentials.createSsl(ca)), message({ path: '/public/x' }))
    assert.equal(checked.denied_response?.status.code, 403)
  })

  test('a call of another method is an error, not an allow', async () => {
    const client = clientOf(1)
    const answer = new Promise((resolve, reject) => {
      const same = (buffer: Buffer): Buffer => buffer
      client.makeUnaryRequest(
        '/envoy.service.auth.v3.Authorization/Other',
        same,
        same,
        message({}),
        (error, value) => (error === null ? resolve(value) : reject(error)),
      )
    })
    await assert.rejects(answer, { code: 12 })
  })
})
