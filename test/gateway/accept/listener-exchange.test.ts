import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import type { Exchange } from '../../../src/core/exchange.ts'
import { isRefusal } from '../../../src/core/refusals.ts'
import { openRaw, rawRequest, rawUntilClosed } from '../../support/raw-http.ts'
import { answerOk, echo, startListener } from './support.ts'

const GET = 'GET /a HTTP/1.1\r\nHost: a\r\n\r\n'

const refuse = ({ reply }: Exchange): void => {
  reply.head(403, 'Forbidden', ['Content-Length', '2'])
  reply.end('no')
}

const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}

test('the head of a request is handed over as it came', async (t) => {
  const { port, listener, exchanges } = await startListener()
  t.after(() => listener.close(0))
  await rawRequest(port, 'GET /a%2f?x HTTP/1.0\r\nhOsT: Bank.Example.Com\r\nX-A: 1\r\nx-a: \xe9\r\n\r\n')
  assert.deepEqual(exchanges[0]?.head, {
    method: 'GET',
    target: '/a%2f?x',
    httpVersion: '1.0',
    headers: ['hOsT', 'Bank.Example.Com', 'X-A', '1', 'x-a', '\xe9'],
    remoteAddress: '127.0.0.1',
    listener: '127.0.0.1:0',
    tls: false,
    peerCertificate: null,
  })
})

test('fields of a reply keep order, spelling and repetition, and an upstream’s Date stays', async (t) => {
  const headers = [
    'Set-Cookie',
    'a=1',
    'DATE',
    'Mon, 01 Jan 2024 00:00:00 GMT',
    'x-A',
    '\xe9',
    'set-cookie',
    'b=2',
  ]
  const { port, listener } = await startListener(({ reply }) => {
    reply.head(299, 'Fine indeed', ['Content-Length', '0', ...headers])
    reply.end()
  })
  t.after(() => listener.close(0))
  const response = await rawRequest(port, GET)
  assert.equal(response.status, 299)
  assert.equal(response.reason, 'Fine indeed')
  assert.deepEqual(response.headers.slice(2, 10), headers)
  assert.equal(response.header('date').length, 1)
})

test('a reply without Date gets one', async (t) => {
  const { port, listener } = await startListener()
  t.after(() => listener.close(0))
  const response = await rawRequest(port, GET)
  assert.deepEqual(response.header('date'), ['Tue, 24 Nov 2026 00:00:00 GMT'])
})

test('a reply of unknown length is chunked, and its trailers follow', async (t) => {
  const { port, listener } = await startListener(({ reply }) => {
    reply.head(200, 'OK', ['Trailer', 'X-Sum'])
    reply.write(Buffer.from('one'))
    reply.write(Buffer.from('two'))
    reply.trailers(['X-Sum', '6'])
    reply.end()
  })
  t.after(() => listener.close(0))
  const response = await rawRequest(port, GET)
  assert.equal(response.body.toString(), 'onetwo')
  assert.deepEqual(response.trailers, ['X-Sum', '6'])
})

for (const [name, request, status, headers] of [
  ['HEAD with its length', 'HEAD', 200, ['Content-Length', '1000']],
  ['HEAD of unknown length', 'HEAD', 200, []],
  ['204', 'GET', 204, []],
  ['304 with a length', 'GET', 304, ['Content-Length', '1000']],
] as const) {
  test(`a reply to ${name} has no body, and the connection goes on`, async (t) => {
    const { port, listener } = await startListener(({ reply }) => {
      reply.head(status, 'x', headers)
      reply.end()
    })
    t.after(() => listener.close(0))
    const connection = await openRaw(port)
    t.after(connection.destroy)
    for (let round = 0; round < 2; round += 1) {
      connection.send(`${request} / HTTP/1.1\r\nHost: a\r\n\r\n`)
      const response = await connection.response({ head: true })
      assert.equal(response.status, status)
      assert.deepEqual(response.header('content-length'), headers.slice(1))
      assert.deepEqual(response.header('transfer-encoding'), [])
    }
  })
}

test('informational answers go before the head, and not to HTTP/1.0', async (t) => {
  const { port, listener } = await startListener((exchange) => {
    exchange.reply.informational(103, ['Link', '</a.css>; rel=preload', 'X-Split', 'a\r\nb'])
    exchange.reply.informational(100, [])
    answerOk(exchange)
    exchange.reply.informational(103, ['Link', 'late'])
  })
  t.after(() => listener.close(0))
  const connection = await openRaw(port)
  t.after(connection.destroy)
  connection.send(GET)
  const hint = await connection.response()
  assert.deepEqual([hint.status, hint.headers], [103, ['Link', '</a.css>; rel=preload']])
  assert.equal((await connection.response()).status, 200)
  const old = await rawRequest(port, 'GET /a HTTP/1.0\r\nHost: a\r\n\r\n')
  assert.equal(old.status, 200)
})

test('100 Continue is sent when the body is first read, and not before', async (t) => {
  const { port, listener, exchanges } = await startListener(() => undefined)
  t.after(() => listener.close(0))
  const connection = await openRaw(port)
  t.after(connection.destroy)
  connection.send('POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 3\r\n\r\n')
  await until(() => exchanges.length === 1)
  assert.equal(connection.bytes().length, 0)
  const [exchange] = exchanges
  assert.ok(exchange)
  echo(exchange)
  assert.equal((await connection.response()).status, 100)
  connection.send('abc')
  const response = await connection.response()
  assert.equal(response.body.toString(), 'abc')
  assert.deepEqual(response.header('connection'), ['keep-alive'])
})

test('a refusal before 100 Continue ends the connection, since the body may or may not come', async (t) => {
  const { port, listener, exchanges } = await startListener(refuse)
  t.after(() => listener.close(0))
  const { responses } = await rawUntilClosed(
    port,
    `POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: ${GET.length}\r\n\r\n`,
  )
  assert.deepEqual(
    responses.map(({ status }) => status),
    [403],
  )
  assert.deepEqual(responses[0]?.header('connection'), ['close'])
  assert.equal(exchanges.length, 1)
})

test('a refusal reaches a caller that goes on sending its body', async (t) => {
  const { port, listener } = await startListener(refuse)
  t.after(() => listener.close(0))
  const connection = await openRaw(port)
  t.after(connection.destroy)
  const size = 8 * 1024 * 1024
  connection.send(`POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`)
  connection.send(Buffer.alloc(size))
  const response = await connection.response()
  assert.equal(response.status, 403)
  assert.deepEqual(response.header('connection'), ['close'])
  assert.equal(await connection.closed(), 'end')
})

test('a refused request whose body has come along leaves the connection open', async (t) => {
  const { port, listener, exchanges } = await startListener(refuse)
  t.after(() => listener.close(0))
  const connection = await openRaw(port)
  t.after(connection.destroy)
  for (let round = 1; round < 3; round += 1) {
    connection.send(`POST /${round} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello`)
    assert.equal((await connection.response()).status, 403)
    assert.equal(exchanges.length, round)
  }
})

test('bodies arrive whole, in chunks or by length, one request after the other', async (t) => {
  const { port, listener } = await startListener(echo)
  t.after(() => listener.close(0))
  const connection = await openRaw(port)
  t.after(connection.destroy)
  const big = Buffer.alloc(3_000_000, 'x')
  connection.send(`POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: ${big.length}\r\n\r\n`)
  connection.send(big)
  assert.equal((await connection.response()).body.length, big.length)
  connection.send(
    'POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n',
  )
  assert.equal((await connection.response()).body.toString(), 'abcde')
  connection.send('POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx')
  assert.equal((await connection.response()).body.toString(), 'x')
})

test('a body that nobody reads is not taken into memory', async (t) => {
  const { port, listener, exchanges } = await startListener(() => undefined)
  t.after(() => listener.close(0))
  const connection = await openRaw(port)
  t.after(connection.destroy)
  connection.send('POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n')
  await until(() => exchanges.length === 1)
  const chunk = Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(0x10000), Buffer.from('\r\n')])
  let flowing = true
  let sent = 0
  while (flowing && sent < 4096) {
    sent += 1
    flowing = connection.socket.write(chunk) || (await drained(connection.socket))
  }
  assert.ok(sent < 4096, 'the sender was held back')
})

const drained = (socket: NodeJS.EventEmitter): Promise<boolean> =>
  Promise.race([
    once(socket, 'drain').then(() => true),
    new Promise<boolean>((resolve) => setTimeout(resolve, 300, false)),
  ])

test('a body with a broken chunk fails as a refusal, and its request is answered', async (t) => {
  const failures: unknown[] = []
  const { port, listener, exchanges, refused } = await startListener(({ body, reply }) => {
    body.on('error', (error) => {
      failures.push(error)
      reply.head(400, '', ['Content-Length', '0'])
      reply.end()
    })
    body.resume()
  })
  t.after(() => listener.close(0))
  const { responses } = await rawUntilClosed(
    port,
    `POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n${GET}`,
  )
  assert.deepEqual(
    responses.map(({ status }) => status),
    [400],
  )
  assert.ok(failures[0] instanceof Error && isRefusal(failures[0]))
  assert.equal(failures[0].refusal, 'bad_request')
  assert.deepEqual([exchanges.length, refused.length], [1, 0])
})

test('a body that failed before it was read fails for a reader that comes later', async (t) => {
  const { port, listener, exchanges } = await startListener(() => undefined)
  t.after(() => listener.close(0))
  const connection = await openRaw(port)
  t.after(connection.destroy)
  connection.send('POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nX\r\n')
  await until(() => exchanges.length === 1)
  await new Promise((resolve) => setImmediate(resolve))
  await assert.rejects(
    async () => {
      for await (const _chunk of exchanges[0]?.body ?? []);
    },
    { refusal: 'bad_request' },
  )
})

test('a body that stalls fails with request_timeout, and its request can be answered', async (t) => {
  const { port, listener } = await startListener(
    ({ body, reply }) => {
      body.on('error', (error) => {
        reply.head(isRefusal(error) && error.refusal === 'request_timeout' ? 408 : 500, '', [
          'Content-Length',
          '0',
        ])
        reply.end()
      })
      body.resume()
    },
    { headersTimeout: 100, requestTimeout: 100 },
  )
  t.after(() => listener.close(0))
  const { responses } = await rawUntilClosed(
    port,
    'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab',
  )
  assert.deepEqual(
    responses.map(({ status }) => status),
    [408],
  )
})

for (const [name, leave] of [
  ['resets its connection', (socket: { resetAndDestroy: () => void }) => socket.resetAndDestroy()],
  ['closes its connection', (socket: { destroy: () => void }) => socket.destroy()],
] as const) {
  test(`a caller that ${name} aborts the signal, also one that is asked for later`, async (t) => {
    const { port, listener, exchanges } = await startListener(() => undefined)
    t.after(() => listener.close(0))
    const connection = await openRaw(port)
    connection.send(GET)
    await until(() => exchanges.length === 1)
    const signal = exchanges[0]?.signal()
    assert.ok(signal)
    assert.equal(signal.aborted, false)
    leave(connection.socket)
    if (!signal.aborted) await once(signal, 'abort')
    assert.equal(exchanges[0]?.signal().aborted, true)
  })
}

test('a caller that leaves in the middle of its body fails the body and aborts the signal', async (t) => {
  const { port, listener, exchanges } = await startListener(() => undefined)
  t.after(() => listener.close(0))
  const connection = await openRaw(port)
  connection.send('POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab')
  await until(() => exchanges.length === 1)
  const [exchange] = exchanges
  assert.ok(exchange)
  exchange.body.resume()
  const failed = once(exchange.body, 'error')
  connection.destroy()
  await failed
  await until(() => exchange.signal().aborted)
})

test('a caller that has ended its side is answered, and then the connection ends', async (t) => {
  const { port, listener, exchanges } = await startListener(() => undefined)
  t.after(() => listener.close(0))
  const connection = await openRaw(port)
  connection.send(GET)
  connection.end()
  await until(() => exchanges.length === 1)
  await new Promise((resolve) => setTimeout(resolve, 20))
  for (const exchange of exchanges) answerOk(exchange)
  assert.equal((await connection.response()).status, 200)
  assert.equal(await connection.closed(), 'end')
})

test('a caller that has ended its side gets a long answer whole', async (t) => {
  const { port, listener } = await startListener(({ reply }) => {
    let left = 8
    reply.head(200, 'OK', ['Content-Length', String(left)])
    const timer = setInterval(() => {
      reply.write(Buffer.from('x'))
      left -= 1
      if (left > 0) return
      clearInterval(timer)
      reply.end()
    }, 100)
  })
  t.after(() => listener.close(0))
  const connection = await openRaw(port)
  connection.send(GET)
  connection.end()
  assert.equal((await connection.response()).body.toString(), 'xxxxxxxx')
})

test('the signal of a request that was answered is not aborted', async (t) => {
  const { port, listener, exchanges } = await startListener((exchange) => {
    exchange.signal()
    answerOk(exchange)
  })
  t.after(() => listener.close(0))
  await rawUntilClosed(port, 'GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  assert.equal(exchanges[0]?.signal().aborted, false)
})

test('an aborted reply is a reset, so that it cannot look complete', async (t) => {
  const { port, listener, exchanges } = await startListener(({ reply }) => {
    reply.head(200, 'OK', [])
    reply.write(Buffer.from('part'))
  })
  t.after(() => listener.close(0))
  const connection = await openRaw(port)
  connection.send(GET)
  await connection.received((text) => text.includes('part'))
  exchanges[0]?.reply.abort()
  assert.equal(await connection.closed(), 'reset')
})

test('an aborted reply does not wait for a reader that has stalled', async (t) => {
  const { port, listener, exchanges } = await startListener(({ reply }) => {
    reply.head(200, 'OK', [])
    while (reply.write(Buffer.alloc(1 << 20)));
    for (let more = 0; more < 8; more += 1) reply.write(Buffer.alloc(1 << 20))
    reply.abort()
  })
  t.after(() => listener.close(0))
  const connection = await openRaw(port)
  t.after(connection.destroy)
  connection.socket.pause()
  connection.send(GET)
  await until(() => exchanges[0]?.signal().aborted === true)
})

test('a reply to a slow reader is held back, and goes on when it has drained', async (t) => {
  const chunk = Buffer.alloc(1 << 20, 'x')
  let written = 0
  const { port, listener } = await startListener(({ reply }) => {
    reply.head(200, 'OK', ['Content-Length', String(64 << 20)])
    const pump = (): void => {
      while (written < 64) {
        written += 1
        if (!reply.write(chunk)) return
      }
      reply.end()
    }
    reply.onDrain(pump)
    pump()
  })
  t.after(() => listener.close(0))
  const connection = await openRaw(port)
  t.after(connection.destroy)
  connection.socket.pause()
  connection.send(GET)
  await until(() => written > 0)
  assert.ok(written < 64)
  connection.socket.resume()
  let received = 0
  connection.socket.removeAllListeners('data')
  connection.socket.on('data', (bytes) => {
    received += bytes.length
  })
  await until(() => received > 64 << 20)
  assert.equal(written, 64)
})

test('a bodiless request to upgrade is served as HTTP/1.1, and nothing behind it is read', async (t) => {
  const { port, listener, exchanges } = await startListener()
  t.after(() => listener.close(0))
  const { responses } = await rawUntilClosed(
    port,
    `GET /1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n${GET}`,
  )
  assert.deepEqual(
    responses.map(({ status }) => status),
    [200],
  )
  assert.deepEqual(
    exchanges.map(({ head }) => head.target),
    ['/1'],
  )
})

test('a bug in the handler cuts the connection and leaves the listener at work', async (t) => {
  let broken = true
  const { port, listener } = await startListener((exchange) => {
    if (broken) throw new Error('a bug')
    answerOk(exchange)
  })
  t.after(() => listener.close(0))
  const connection = await openRaw(port)
  connection.send(GET)
  assert.equal(await connection.closed(), 'reset')
  broken = false
  assert.equal((await rawRequest(port, GET)).status, 200)
})

test('connections over the limit are closed', async (t) => {
  const { port, listener } = await startListener(undefined, { connections: 1 })
  t.after(() => listener.close(0))
  const first = await openRaw(port)
  t.after(first.destroy)
  first.send(GET)
  assert.equal((await first.response()).status, 200)
  const second = await openRaw(port)
  second.send(GET)
  await second.closed()
  assert.equal(second.bytes().length, 0)
})
