import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { after, describe, it } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import { type Refusal, refuse } from '../../../src/core/refusals.ts'
import { closedPort, OK, type RawAnswer, type RawBackend, startRawBackend } from '../../support/backend.ts'
import { handshake, SWITCH } from '../../support/websocket.ts'
import { connectRaw, exchangeRaw, type Gateway, type GatewayOptions, startGateway } from './harness.ts'

const closers: (() => Promise<void>)[] = []
after(async () => {
  for (const close of closers) await close()
})

const start = async (
  answers: RawAnswer | readonly RawAnswer[] = OK,
  options: GatewayOptions = {},
  backendOptions: Parameters<typeof startRawBackend>[1] = {},
): Promise<{ readonly backend: RawBackend; readonly gateway: Gateway }> => {
  const backend = await startRawBackend(answers, backendOptions)
  const gateway = await startGateway(backend.url, options)
  closers.push(gateway.close, backend.close)
  return { backend, gateway }
}

const get = (target: string, more = ''): string =>
  `GET ${target} HTTP/1.1\r\nHost: bank.example.com\r\n${more}Connection: close\r\n\r\n`

const post = (more: string, body: string): string =>
  `POST /t HTTP/1.1\r\nHost: bank.example.com\r\nConnection: close\r\n${more}\r\n${body}`

describe('the request line that an application gets', () => {
  for (const target of [
    '/accounts/a%2Fb',
    '/?',
    '/a?b=c&d=%20%27',
    '/it\'s|a{b}^`c"d',
    '/a?x=<script>&y=[1]',
    '/%E2%82%AC',
    '//two',
    '/a//b/',
    '/a?http://b/c?d',
    '/a;b=c/..;/d\\e',
  ]) {
    it(`has the target ${target} byte for byte`, async () => {
      const { backend, gateway } = await start()
      await exchangeRaw(gateway.port, get(target))
      assert.equal(backend.requests[0]?.requestLine, `GET ${target} HTTP/1.1`)
    })
  }

  for (const method of ['PROPFIND', 'PURGE', 'OPTIONS', 'DELETE', 'M-SEARCH', 'REPORT', 'TRACE']) {
    it(`has the method ${method}`, async () => {
      const { backend, gateway } = await start()
      await exchangeRaw(gateway.port, `${method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
      assert.equal(backend.requests[0]?.requestLine, `${method} / HTTP/1.1`)
    })
  }

  it('has the bound target and not the one that came', async () => {
    const { backend, gateway } = await start(OK, { changes: { bound: { target: '/v2/x?y' } } })
    await exchangeRaw(gateway.port, get('/v1/x?y'))
    assert.equal(backend.requests[0]?.requestLine, 'GET /v2/x?y HTTP/1.1')
  })
})

describe('the fields that an application gets', () => {
  it('keep spelling, order, repetition and bytes, and those of the gateway come after them', async () => {
    const { backend, gateway } = await start(OK, {
      changes: { identity: null, bound: { headers: ['X-Remote-User', 'alice'] } },
    })
    await exchangeRaw(gateway.port, get('/', 'x-ODD: 1\r\nX-Empty:\r\nx-ODD: 2\r\nX-Latin: caf\xe9 \x80\r\n'))
    assert.deepEqual(backend.requests[0]?.headerLines, [
      'host: bank.example.com',
      'connection: keep-alive',
      'x-ODD: 1',
      'X-Empty: ',
      'x-ODD: 2',
      'X-Latin: caf\xe9 \x80',
      'X-Forwarded-For: 192.0.2.7',
      'X-Forwarded-Proto: http',
      'X-Forwarded-Host: bank.example.com',
      'Forwarded: for=192.0.2.7;host=bank.example.com;proto=http',
      'Via: 1.1 sallyport',
      'Sallyport-Decision-Id: 01930000-0000-7000-8000-000000000001',
      'X-Remote-User: alice',
    ])
  })

  it('carry a signed assertion when somebody was verified', async () => {
    const { backend, gateway } = await start()
    await exchangeRaw(gateway.port, get('/', 'Sallyport-Assertion: forged\r\n'))
    const [token = '', ...more] = backend.requests[0]?.header('Sallyport-Assertion') ?? []
    assert.deepEqual(more, [])
    assert.equal(JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()).sub, 'alice')
  })

  for (const [host, seen] of [
    ['preserve', () => 'bank.example.com'],
    ['upstream', (backend: RawBackend) => `127.0.0.1:${backend.port}`],
    ['legacy.internal:8080', () => 'legacy.internal:8080'],
  ] as const) {
    it(`have the Host that host: ${host} says`, async () => {
      const { backend, gateway } = await start(OK, { upstream: { host } })
      await exchangeRaw(gateway.port, get('/'))
      assert.deepEqual(backend.requests[0]?.header('host'), [seen(backend)])
      assert.deepEqual(backend.requests[0]?.header('x-forwarded-host'), ['bank.example.com'])
    })
  }

  it('do not ask for an upgrade, so that h2c opens no tunnel', async () => {
    const { backend, gateway } = await start()
    const head = 'GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n'
    await exchangeRaw(gateway.port, `${head}Connection: Upgrade, HTTP2-Settings, close\r\n\r\n`)
    assert.deepEqual(backend.requests[0]?.header('upgrade'), [])
    assert.deepEqual(backend.requests[0]?.header('http2-settings'), [])
    assert.deepEqual(backend.requests[0]?.header('connection'), ['keep-alive'])
  })

  it('do not let the caller choose the name that TLS asks for', async () => {
    let asked: string | undefined
    const server = createTlsServer({
      SNICallback: (name, done) => {
        asked = name
        done(new Error('no certificate here'))
      },
    })
    server.on('tlsClientError', () => undefined)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    // An address object is certain here: the server listens on TCP.
    const { port } = server.address() as AddressInfo
    const gateway = await startGateway(`https://localhost:${port}`)
    closers.push(gateway.close, () => new Promise((resolve) => server.close(() => resolve())))
    assert.match(await exchangeRaw(gateway.port, get('/')), /^HTTP\/1\.1 502 /)
    assert.equal(asked, 'localhost')
  })
})

describe('the body that an application gets', () => {
  it('keeps its Content-Length', async () => {
    const { backend, gateway } = await start()
    await exchangeRaw(gateway.port, post('Content-Length: 5\r\n', 'a\x00\xff\r\n'))
    assert.deepEqual(backend.requests[0]?.header('content-length'), ['5'])
    assert.deepEqual(backend.requests[0]?.header('transfer-encoding'), [])
    assert.equal(backend.requests[0]?.body.toString('latin1'), 'a\x00\xff\r\n')
  })

  it('stays chunked, and loses its trailers', async () => {
    const { backend, gateway } = await start()
    const chunks = '3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nX-Remote-User: root\r\n\r\n'
    await exchangeRaw(gateway.port, post('Transfer-Encoding: chunked\r\nTrailer: X-Remote-User\r\n', chunks))
    const [request] = backend.requests
    assert.deepEqual(request?.header('transfer-encoding'), ['chunked'])
    assert.deepEqual(request?.header('content-length'), [])
    assert.deepEqual(request?.header('trailer'), [])
    assert.equal(request?.body.toString(), 'abcde')
    assert.ok(request?.raw.toString().endsWith('\r\n0\r\n\r\n'))
  })

  it('is the very bytes that the mapping read', async () => {
    const { backend, gateway } = await start(OK, { changes: { bound: { body: Buffer.from('{"a": 1 }') } } })
    const client = connectRaw(gateway.port)
    client.write(post('Transfer-Encoding: chunked\r\n', '9\r\n{"a": 1 }\r\n0\r\n\r\n'))
    await client.ended
    assert.deepEqual(backend.requests[0]?.header('content-length'), ['9'])
    assert.deepEqual(backend.requests[0]?.header('transfer-encoding'), [])
    assert.equal(backend.requests[0]?.body.toString(), '{"a": 1 }')
  })

  for (const [name, head] of [
    ['an empty one by length', 'Content-Length: 0\r\n'],
    ['none at all', ''],
  ] as const) {
    it(`is empty and said to be so, from ${name}`, async () => {
      const { backend, gateway } = await start()
      await exchangeRaw(gateway.port, post(head, ''))
      assert.deepEqual(backend.requests[0]?.header('content-length'), ['0'])
      assert.deepEqual(backend.requests[0]?.header('transfer-encoding'), [])
    })
  }

  it('comes with GET, too', async () => {
    const { backend, gateway } = await start()
    await exchangeRaw(gateway.port, `${get('/', 'Content-Length: 2\r\n')}hi`)
    assert.equal(backend.requests[0]?.requestLine, 'GET / HTTP/1.1')
    assert.equal(backend.requests[0]?.body.toString(), 'hi')
  })

  it('is sent on while it arrives', async () => {
    const { backend, gateway } = await start()
    const client = connectRaw(gateway.port)
    client.write(post('Content-Length: 6\r\n', 'abc'))
    const socket = await backend.connection(0)
    let seen = ''
    await new Promise<void>((resolve) => {
      socket.on('data', (chunk: Buffer) => {
        seen += chunk.toString()
        if (seen.endsWith('\r\n\r\nabc')) resolve()
      })
    })
    client.write('def')
    assert.match((await client.ended).text, /^HTTP\/1\.1 200 /)
  })
})

describe('an upstream that cannot be used', () => {
  it('is 502 when nothing listens', async () => {
    const gateway = await startGateway(`http://127.0.0.1:${await closedPort()}`)
    closers.push(gateway.close)
    const answer = await exchangeRaw(gateway.port, get('/'))
    assert.match(answer, /^HTTP\/1\.1 502 .*"code":"upstream_unavailable"/s)
    assert.deepEqual(gateway.outcomes, ['upstream_unavailable'])
  })

  it('is 502 for an upload to nobody, whose sender still gets the answer', async () => {
    const gateway = await startGateway(`http://127.0.0.1:${await closedPort()}`)
    closers.push(gateway.close)
    const client = connectRaw(gateway.port)
    client.write(post('Content-Length: 10\r\n', 'abc'))
    await client.until('upstream_unavailable')
    assert.match(client.received(), /Connection: close\r\n/i)
  })

  it('is 504 when it does not answer in time', async () => {
    const { gateway } = await start(() => undefined, { upstream: { headersTimeout: 50 } })
    const answer = await exchangeRaw(gateway.port, get('/'))
    assert.match(answer, /^HTTP\/1\.1 504 .*"code":"upstream_timeout"/s)
  })

  it('is 502 when all its connections stay busy', async () => {
    const { backend, gateway } = await start(() => undefined, {
      upstream: { maxConnections: 1, connectTimeout: 100 },
    })
    const first = connectRaw(gateway.port)
    first.write(get('/first'))
    await backend.request(0)
    assert.match(await exchangeRaw(gateway.port, get('/second')), /^HTTP\/1\.1 502 /)
    assert.equal(backend.requests.length, 1)
    first.socket.destroy()
    await gateway.settled(2)
  })

  it('is let go of at once when that is wanted, also with requests waiting for it', async () => {
    const { backend, gateway } = await start(() => undefined, { upstream: { maxConnections: 1 } })
    const clients = [connectRaw(gateway.port), connectRaw(gateway.port)]
    clients[0]?.write(get('/first'))
    await backend.request(0)
    clients[1]?.write(get('/second'))
    const stop = new AbortController()
    const closed = gateway.closeUpstream(stop.signal)
    stop.abort()
    await closed
    for (const client of clients) assert.match((await client.ended).text, /^HTTP\/1\.1 502 /)
  })

  it('is asked in turn with its siblings', async () => {
    const [one, two] = [await startRawBackend(), await startRawBackend()]
    const gateway = await startGateway(one.url, { upstream: { urls: [one.url, two.url] } })
    closers.push(gateway.close, one.close, two.close)
    for (const target of ['/1', '/2', '/3']) await exchangeRaw(gateway.port, get(target))
    assert.deepEqual([one.requests.length, two.requests.length], [2, 1])
  })
})

describe('a kept connection that was closed meanwhile', () => {
  const dies: RawAnswer = (_request, socket) => socket.destroy()

  it('does not fail a request that may be asked again', async () => {
    const { backend, gateway } = await start([OK, dies, OK])
    await exchangeRaw(gateway.port, get('/first'))
    assert.match(await exchangeRaw(gateway.port, get('/second')), /^HTTP\/1\.1 200 /)
    assert.deepEqual(
      backend.requests.map(({ requestLine }) => requestLine),
      ['GET /first HTTP/1.1', 'GET /second HTTP/1.1', 'GET /second HTTP/1.1'],
    )
  })

  it('is not asked a third time', async () => {
    const { backend, gateway } = await start(dies)
    assert.match(await exchangeRaw(gateway.port, get('/')), /^HTTP\/1\.1 502 /)
    assert.equal(backend.requests.length, 2)
  })

  for (const request of [
    post('Content-Length: 2\r\n', 'hi'),
    post('', ''),
    'PATCH / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    `${get('/', 'Content-Length: 2\r\n')}hi`,
  ]) {
    it(`fails ${JSON.stringify(request.split('\r\n')[0])} with ${request.length} bytes, which might do something twice`, async () => {
      const { backend, gateway } = await start(dies)
      assert.match(await exchangeRaw(gateway.port, request), /^HTTP\/1\.1 502 /)
      assert.equal(backend.requests.length, 1)
    })
  }

  it('does not fail a request when the answer had begun', async () => {
    const partial: RawAnswer = (_request, socket) => socket.end('HTTP/1.1 200 OK\r\nContent-')
    const { backend, gateway } = await start(partial)
    assert.match(await exchangeRaw(gateway.port, get('/')), /^HTTP\/1\.1 502 /)
    assert.equal(backend.requests.length, 1)
  })
})

describe('a caller who goes away', () => {
  it('ends the request to the application', async () => {
    const { backend, gateway } = await start(() => undefined)
    const client = connectRaw(gateway.port)
    client.write(get('/'))
    await backend.request(0)
    const closed = new Promise((resolve) => backend.connections[0]?.on('close', resolve))
    client.socket.destroy()
    await closed
    await gateway.settled(1)
    assert.deepEqual(gateway.outcomes, ['done'])
  })

  it('ends an answer under way', async () => {
    const { backend, gateway } = await start('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart')
    const client = connectRaw(gateway.port)
    client.write(get('/'))
    await client.until('part')
    const closed = new Promise((resolve) => backend.connections[0]?.on('close', resolve))
    client.socket.destroy()
    await closed
  })

  it('never makes half an upload look whole', async () => {
    const { backend, gateway } = await start()
    for (const framing of [
      'Content-Length: 10\r\n\r\nhalf',
      'Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n',
    ]) {
      const client = connectRaw(gateway.port)
      const next = backend.connection()
      client.write(`POST / HTTP/1.1\r\nHost: a\r\n${framing}`)
      const socket = await next
      await new Promise((resolve) => socket.once('data', resolve))
      const closed = new Promise((resolve) => socket.on('close', resolve))
      client.socket.destroy()
      await closed
    }
    assert.equal(backend.requests.length, 0)
  })

  it('leaves nothing behind when no connection had come about', async () => {
    let arrived = (): void => undefined
    const secondArrived = new Promise<void>((resolve) => {
      arrived = resolve
    })
    const { backend, gateway } = await start(() => undefined, {
      upstream: { maxConnections: 1 },
      changes: ({ head }) => {
        if (head.method === 'POST') arrived()
        return {}
      },
    })
    const first = connectRaw(gateway.port)
    first.write(get('/first'))
    await backend.request(0)
    const second = connectRaw(gateway.port)
    second.write(post('Content-Length: 10\r\n', 'abc'))
    await secondArrived
    second.socket.destroy()
    await gateway.settled(1)
    first.socket.destroy()
    await gateway.settled(2)
    await backend.close()
    assert.deepEqual(gateway.outcomes, ['done', 'done'])
    assert.equal(backend.requests.length, 1)
  })
})

describe('an answer that comes early', () => {
  it('reaches a caller who is still sending, whose connection then ends in order', async () => {
    const { gateway } = await start(
      'HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\n\r\nstop',
      {},
      { early: true },
    )
    const client = connectRaw(gateway.port)
    client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n')
    client.write('x'.repeat(1000))
    await client.until('stop')
    await gateway.settled(1)
    client.write('x'.repeat(199_000))
    const { text, how } = await client.ended
    assert.match(text, /^HTTP\/1\.1 413 Too Large\r\n/)
    assert.match(text, /\r\nConnection: close\r\n/)
    assert.equal(how, 'end')
  })

  it('streams while the rest of the request does', async () => {
    const { backend, gateway } = await start('HTTP/1.1 200 OK\r\n\r\n', {}, { early: true })
    const client = connectRaw(gateway.port)
    client.write('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nping\r\n')
    await client.until('200 OK')
    const socket = await backend.connection(0)
    socket.write('pong')
    await client.until('pong')
    client.write('5\r\nagain\r\n0\r\n\r\n')
    const { body } = await backend.request(0)
    assert.equal(body.toString(), 'pingagain')
    socket.end('bye')
    await client.until('bye')
  })
})

describe('a caller whose own body is at fault', () => {
  it('is told so, and not that the application failed', async () => {
    const { gateway } = await start()
    const answer = await exchangeRaw(
      gateway.port,
      post('Transfer-Encoding: chunked\r\n', '3\r\nabc\r\nZZ\r\n'),
    )
    assert.match(answer, /^HTTP\/1\.1 400 .*"code":"bad_request"/s)
  })

  it('is told when it takes too long', async () => {
    const { gateway } = await start(OK, { limits: { requestTimeout: 200, headersTimeout: 200 } })
    const answer = await exchangeRaw(gateway.port, post('Content-Length: 10\r\n', 'abc'))
    assert.match(answer, /^HTTP\/1\.1 408 .*"code":"request_timeout"/s)
  })

  it('is asked for the body only when it is wanted', async () => {
    const nobody = await startGateway(`http://127.0.0.1:${await closedPort()}`)
    closers.push(nobody.close)
    const refused = await exchangeRaw(nobody.port, post('Content-Length: 2\r\nExpect: 100-continue\r\n', ''))
    assert.match(refused, /^HTTP\/1\.1 502 /)

    const { backend, gateway } = await start()
    const client = connectRaw(gateway.port)
    client.write(post('Content-Length: 2\r\nExpect: 100-continue\r\n', ''))
    await client.until('HTTP/1.1 100 Continue\r\n\r\n')
    client.write('hi')
    await client.until('HTTP/1.1 200 OK')
    assert.equal(backend.requests[0]?.body.toString(), 'hi')
    assert.deepEqual(backend.requests[0]?.header('expect'), [])
  })
})

describe('a record that could not be kept after all', () => {
  /** Says when it is asked. */
  const unrecorded = () => {
    const asked: string[] = []
    const settle = (): Refusal => {
      asked.push('settle')
      return refuse('record', 'audit_unavailable', 'audit[0]: ENOSPC')
    }
    return { asked, record: { settle } }
  }

  it('lets nothing out, also over a connection that is kept', async () => {
    const { record } = unrecorded()
    let isRecorded = true
    const { backend, gateway } = await start(OK, {
      changes: () => (isRecorded ? {} : { record }),
    })
    const kept = connectRaw(gateway.port)
    kept.write('GET /first HTTP/1.1\r\nHost: a\r\n\r\n')
    await kept.until('ok')
    isRecorded = false
    for (const bytes of [post('Content-Length: 4\r\n', 'body'), get('/second'), get('/second')]) {
      assert.match(await exchangeRaw(gateway.port, bytes), /^HTTP\/1\.1 503 /)
    }
    isRecorded = true
    assert.match(await exchangeRaw(gateway.port, get('/third')), /^HTTP\/1\.1 200 /)
    assert.equal(backend.connections.length, 1, 'which stays')
    assert.deepEqual(
      backend.requests.map(({ requestLine }) => requestLine),
      ['GET /first HTTP/1.1', 'GET /third HTTP/1.1'],
    )
    assert.deepEqual(gateway.outcomes, ['done', ...Array(3).fill('audit_unavailable'), 'done'])
    kept.socket.destroy()
  })

  it('leaves a connection that was opened for it to the next one', async () => {
    const { record } = unrecorded()
    let isRecorded = false
    const { backend, gateway } = await start(OK, { changes: () => (isRecorded ? {} : { record }) })
    for (let time = 0; time < 3; time += 1)
      assert.match(await exchangeRaw(gateway.port, get('/lost')), /^HTTP\/1\.1 503 /)
    isRecorded = true
    assert.match(await exchangeRaw(gateway.port, get('/kept')), /^HTTP\/1\.1 200 /)
    assert.equal(backend.connections.length, 1)
    assert.deepEqual(
      backend.requests.map(({ requestLine }) => requestLine),
      ['GET /kept HTTP/1.1'],
    )
  })

  it('lets no handshake out', async () => {
    const { record } = unrecorded()
    const { backend, gateway } = await start(SWITCH, { changes: { record } })
    const client = connectRaw(gateway.port)
    client.write(handshake('/'))
    await client.until('HTTP/1.1 503 ')
    client.socket.destroy()
    assert.equal(backend.connections.length, 0)
  })

  it('asks for nothing that the application would be shown', async () => {
    const { asked, record } = unrecorded()
    const credentials = {
      header: 'Authorization',
      valueFor: () => {
        asked.push('credentials')
        return 'Bearer of the gateway'
      },
      close: () => undefined,
    }
    const { backend, gateway } = await start(OK, { changes: { record }, credentials })
    assert.match(await exchangeRaw(gateway.port, get('/')), /^HTTP\/1\.1 503 /)
    assert.deepEqual(asked, ['settle'])
    assert.equal(backend.requests.length, 0)
  })

  it('gives nothing that the gateway has itself', async () => {
    const { record } = unrecorded()
    const changes = { record, upstream: '', routeName: 'sallyport-jwks', identity: null }
    const { gateway } = await start(OK, { changes })
    assert.match(await exchangeRaw(gateway.port, get('/')), /^HTTP\/1\.1 503 /)
  })
})
