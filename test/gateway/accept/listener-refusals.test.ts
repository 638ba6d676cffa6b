import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openRaw, rawRequest, rawUntilClosed } from '../../support/raw-http.ts'
import { echo, startListener } from './support.ts'

const NEXT = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'

interface Case {
  readonly bytes: string
  readonly status: number
  readonly code: string
  readonly method: string
  readonly path: string
  readonly host?: string
}

const post = (path: string, ...lines: readonly string[]): string =>
  `POST ${path} HTTP/1.1\r\nHost: bank.example.com\r\n${lines.join('\r\n')}\r\n\r\n`
const get = (...lines: readonly string[]): string =>
  `GET /a?token=secret HTTP/1.1\r\nHost: bank.example.com\r\n${lines.join('\r\n')}\r\n\r\n`

const bad = (bytes: string, method = 'GET', path = '/a', host = 'bank.example.com'): Case => ({
  bytes,
  status: 400,
  code: 'bad_request',
  method,
  path,
  host,
})

const CASES: Readonly<Record<string, Case>> = {
  'a folded header line': bad(get('X-A: b', ' c')),
  'a header block with bare line feeds': bad('GET /a HTTP/1.1\nHost: bank.example.com\n\n'),
  'one bare line feed': bad('GET /a HTTP/1.1\r\nHost: bank.example.com\nX: y\r\n\r\n'),
  'a space before a colon': bad(get('X-A : b')),
  'NUL in a value': bad(get('X-A: b\0c')),
  'a control character in a value': bad(get('X-A: b\x01c')),
  'a line without a colon': bad(get('nonsense')),
  'an empty header name': bad(get(': x')),
  'a method in lower case': bad('get /a HTTP/1.1\r\nHost: bank.example.com\r\n\r\n', 'get'),
  'a method that nobody knows': bad('FOO /a HTTP/1.1\r\nHost: bank.example.com\r\n\r\n', 'FOO'),
  'HTTP/0.9': bad('GET /a\r\n\r\n', 'GET', '/a', ''),
  'HTTP/2 in a request line': bad('GET /a HTTP/2.0\r\nHost: bank.example.com\r\n\r\n'),
  'HTTP/1.2': bad('GET /a HTTP/1.2\r\nHost: bank.example.com\r\n\r\n'),
  'the preface of HTTP/2': bad('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'PRI', '*', ''),
  'a TLS hello': bad('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', '', '', ''),
  'a space in the target': bad('GET /a b HTTP/1.1\r\nHost: bank.example.com\r\n\r\n', 'GET', '/a b'),
  'a target that is not ASCII': bad('GET /\xe9 HTTP/1.1\r\nHost: bank.example.com\r\n\r\n', 'GET', '/\xe9'),
  'an opaque target': bad(
    'GET http:http://internal/a HTTP/1.1\r\nHost: bank.example.com\r\n\r\n',
    'GET',
    'http:http://internal/a',
  ),
  CONNECT: bad(
    'CONNECT bank.example.com:443 HTTP/1.1\r\nHost: bank.example.com\r\n\r\n',
    'CONNECT',
    'bank.example.com:443',
  ),
  'Content-Length before Transfer-Encoding': bad(
    post('/a', 'Content-Length: 5', 'Transfer-Encoding: chunked'),
    'POST',
  ),
  'Transfer-Encoding before Content-Length': bad(
    post('/a', 'Transfer-Encoding: chunked', 'Content-Length: 5'),
    'POST',
  ),
  'Transfer-Encoding that ends in another coding': bad(
    post('/a', 'Transfer-Encoding: chunked, identity'),
    'POST',
  ),
  'two Content-Length headers, even if equal': bad(
    post('/a', 'Content-Length: 1', 'Content-Length: 1'),
    'POST',
  ),
  'a signed Content-Length': bad(post('/a', 'Content-Length: +1'), 'POST'),
  'a header block over its limit': {
    ...bad(get(`X: ${'a'.repeat(20_000)}`)),
    status: 431,
    code: 'headers_too_large',
  },
  'an expectation that nobody knows': {
    ...bad(post('/a', 'Expect: 200-ok', 'Content-Length: 3'), 'POST'),
    status: 417,
    code: 'expectation_failed',
  },
  'an expectation beside 100-continue': {
    ...bad(post('/a', 'Expect: 100-continue, x', 'Content-Length: 3'), 'POST'),
    status: 417,
    code: 'expectation_failed',
  },
}

for (const [name, expected] of Object.entries(CASES)) {
  test(`${name} is refused with its facts, answered once, and nothing behind it is read`, async (t) => {
    const { port, listener, exchanges, refused } = await startListener()
    t.after(() => listener.close(0))
    const { responses, end } = await rawUntilClosed(port, expected.bytes + NEXT)
    assert.equal(end, 'end')
    assert.deepEqual(
      responses.map(({ status, body }) => [status, body.toString()]),
      [[expected.status, expected.code]],
    )
    assert.deepEqual(responses[0]?.header('connection'), ['close'])
    assert.equal(exchanges.length, 0)
    assert.equal(refused.length, 1)
    const { method, path, host, ip } = refused[0]?.request ?? {}
    assert.deepEqual(
      { method, path, host, ip },
      {
        method: expected.method,
        path: expected.path,
        host: expected.host,
        ip: '127.0.0.1',
      },
    )
    assert.ok(!JSON.stringify(refused).includes('secret'))
  })
}

test('a head that arrives in pieces is told whole when its last piece is wrong', async (t) => {
  const { port, listener, refused } = await startListener()
  t.after(() => listener.close(0))
  const connection = await openRaw(port)
  for (const piece of [
    '\r\nGE',
    'T /acc',
    'ounts HTTP/1.1\r\nHo',
    'st: bank.example.com\r\n',
    'X Y: z\r\n\r\n',
  ]) {
    await new Promise<void>((resolve) => connection.socket.write(piece, () => setImmediate(resolve)))
  }
  const response = await connection.response()
  assert.equal(response.status, 400)
  assert.equal(await connection.closed(), 'end')
  assert.deepEqual(
    refused.map(({ request }) => [request.method, request.path, request.host]),
    [['GET', '/accounts', 'bank.example.com']],
  )
})

test('a bad request behind good ones is told by its own request line, and answered after them', async (t) => {
  const later: (() => void)[] = []
  const { port, listener, refused, exchanges } = await startListener(({ reply }) => {
    later.push(() => {
      reply.head(200, 'OK', ['Content-Length', '2'])
      reply.end('ok')
    })
  })
  t.after(() => listener.close(0))
  const connection = await openRaw(port)
  connection.send(
    'GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 31\r\n\r\nGET /body HTTP/1.1\r\nHost: a\r\n\r\n' +
      `\0GET /3 HTTP/1.1\r\nHost: a\r\n\r\n`,
  )
  while (refused.length === 0) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(
    exchanges.map(({ head }) => head.target),
    ['/1', '/2'],
  )
  for (const answer of later) answer()
  assert.equal((await connection.response()).status, 200)
  assert.equal((await connection.response()).status, 200)
  assert.equal((await connection.response()).status, 400)
  assert.equal(await connection.closed(), 'end')
})

test('bytes behind a chunked body that are no request are refused without a guessed request line', async (t) => {
  const { port, listener, refused } = await startListener(echo)
  t.after(() => listener.close(0))
  const { responses } = await rawUntilClosed(
    port,
    'POST /1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nget /2 HTTP/1.1\r\n\r\n',
  )
  assert.deepEqual(
    responses.map(({ status }) => status),
    [200, 400],
  )
  assert.deepEqual(
    refused.map(({ request }) => [request.method, request.path]),
    [['', '']],
  )
})

test('bytes behind a request that said Connection: close are nobody’s request', async (t) => {
  const { port, listener, refused, exchanges } = await startListener()
  t.after(() => listener.close(0))
  const { responses } = await rawUntilClosed(
    port,
    `GET /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n${NEXT}`,
  )
  assert.deepEqual(
    responses.map(({ status }) => status),
    [200],
  )
  assert.deepEqual(
    exchanges.map(({ head }) => head.target),
    ['/1'],
  )
  assert.deepEqual(refused, [])
})

test('a head that stalls is answered with 408 and told as far as it came', async (t) => {
  const { port, listener, refused } = await startListener(undefined, {
    headersTimeout: 100,
    requestTimeout: 200,
  })
  t.after(() => listener.close(0))
  const response = await rawRequest(port, 'GET /slow HTTP/1.1\r\nHost: bank.example.com\r\nX: ')
  assert.equal(response.status, 408)
  assert.deepEqual(
    refused.map(({ refusal, request }) => [refusal, request.method, request.path, request.host]),
    [['request_timeout', 'GET', '/slow', 'bank.example.com']],
  )
})

test('a connection that asks nothing is closed without an answer or a record', async (t) => {
  const { port, listener, refused } = await startListener(undefined, {
    headersTimeout: 100,
    requestTimeout: 200,
  })
  t.after(() => listener.close(0))
  const connection = await openRaw(port)
  assert.equal(await connection.closed(), 'end')
  assert.equal(connection.bytes().length, 0)
  assert.equal(refused.length, 0)
})

test('a head that is cut off is told as far as it came', async (t) => {
  const { port, listener, refused } = await startListener()
  t.after(() => listener.close(0))
  const connection = await openRaw(port)
  connection.send('GET /cut HTTP/1.1\r\nHost: bank.example.com\r\n')
  connection.end()
  assert.equal((await connection.response()).status, 400)
  assert.deepEqual(
    refused.map(({ request }) => [request.method, request.path]),
    [['GET', '/cut']],
  )
})

test('the answer to a refused HEAD has no body', async (t) => {
  const { port, listener } = await startListener()
  t.after(() => listener.close(0))
  const { bytes } = await rawUntilClosed(port, 'HEAD /a HTTP/1.1\r\nHost: a\r\nX Y: z\r\n\r\n')
  assert.match(bytes.toString('latin1'), /^HTTP\/1\.1 400 .*\r\n\r\n$/s)
})

test('more header fields than Node keeps by default are all there', async (t) => {
  const { port, listener, exchanges } = await startListener()
  t.after(() => listener.close(0))
  const fields = Array.from({ length: 3000 }, () => 'A:b\r\n').join('')
  await rawRequest(port, `GET / HTTP/1.1\r\nHost: a\r\n${fields}Last: yes\r\n\r\n`)
  const headers = exchanges[0]?.head.headers ?? []
  assert.equal(headers.length, 2 * 3002)
  assert.deepEqual(headers.slice(-2), ['Last', 'yes'])
})
