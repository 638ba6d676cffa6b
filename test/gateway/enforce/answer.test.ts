import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { OK, type RawAnswer, type RawBackend, startRawBackend } from '../../support/backend.ts'
import { connectRaw, exchangeRaw, type Gateway, type GatewayOptions, startGateway } from './harness.ts'

const closers: (() => Promise<void>)[] = []
after(async () => {
  for (const close of closers) await close()
})

const start = async (
  answers: RawAnswer | readonly RawAnswer[],
  options: GatewayOptions = {},
): Promise<{ readonly backend: RawBackend; readonly gateway: Gateway }> => {
  const backend = await startRawBackend(answers)
  const gateway = await startGateway(backend.url, options)
  closers.push(gateway.close, backend.close)
  return { backend, gateway }
}

const request = (method = 'GET', version = '1.1'): string =>
  `${method} / HTTP/${version}\r\nHost: a\r\nConnection: close\r\n\r\n`

const answerTo = async (answer: RawAnswer, sent = request()): Promise<string> => {
  const { gateway } = await start(answer)
  return exchangeRaw(gateway.port, sent)
}

const headLines = (answer: string): readonly string[] => answer.split('\r\n\r\n', 1)[0]?.split('\r\n') ?? []
const contentOf = (answer: string): string => answer.slice(answer.indexOf('\r\n\r\n') + 4)

describe('the head of an answer', () => {
  it('keeps order, spelling, repetition, Date and bytes, and gains the decision id', async () => {
    const answer = await answerTo(
      'HTTP/1.1 207 Many Things\r\nSet-Cookie: a=1\r\nDate: Tue, 01 Jan 2030 00:00:00 GMT\r\nx-ODD: caf\xe9\r\n' +
        'Set-Cookie: b=2\r\nServer: old/1\r\nContent-Length: 2\r\n\r\nok',
    )
    const lines = headLines(answer).filter((line) => !/^connection:/i.test(line))
    assert.deepEqual(lines, [
      'HTTP/1.1 207 Many Things',
      'Set-Cookie: a=1',
      'Date: Tue, 01 Jan 2030 00:00:00 GMT',
      'x-ODD: caf\xe9',
      'Set-Cookie: b=2',
      'Server: old/1',
      'Content-Length: 2',
      'Sallyport-Decision-Id: 01930000-0000-7000-8000-000000000001',
    ])
  })

  it('loses what is about the connection, and what only the gateway may say', async () => {
    const answer = await answerTo(
      'HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop, Set-Cookie\r\nKeep-Alive: timeout=7\r\nX-Hop: 1\r\n' +
        'Set-Cookie: a=1\r\nProxy-Authenticate: Basic\r\nUpgrade: h2c\r\nSallyport-Decision-Id: forged\r\n' +
        'sallyport-task-complete: t\r\nContent-Length: 2\r\n\r\nok',
    )
    const names = headLines(answer)
      .slice(1)
      .map((line) => line.split(':', 1)[0]?.toLowerCase())
      .filter((name) => name !== 'connection' && name !== 'date')
    assert.deepEqual(names, ['set-cookie', 'content-length', 'sallyport-decision-id'])
    assert.match(answer, /Sallyport-Decision-Id: 01930000-/)
  })

  it('comes with an odd reason phrase, or without one that cannot be repeated', async () => {
    assert.equal(
      headLines(await answerTo('HTTP/1.1 299 Fine: by me!\r\nContent-Length: 0\r\n\r\n'))[0],
      'HTTP/1.1 299 Fine: by me!',
    )
    const bytes = Buffer.from('HTTP/1.1 299 caf\xe9\r\nContent-Length: 0\r\n\r\n', 'latin1')
    assert.match(headLines(await answerTo(bytes))[0] ?? '', /^HTTP\/1\.1 299 ?$/)
  })

  it('passes 103 ahead, as often as it comes', async () => {
    const hint = (link: string): string =>
      `HTTP/1.1 103 Early Hints\r\nLink: <${link}>\r\nSallyport-X: 1\r\n\r\n`
    const { gateway, backend } = await start((_request, socket) => socket.write(hint('/a.css')))
    const client = connectRaw(gateway.port)
    client.write(request())
    await client.until('</a.css>')
    backend.connections[0]?.write(hint('/b.css'))
    await client.until('</b.css>')
    backend.connections[0]?.write(OK)
    const { text } = await client.ended
    assert.deepEqual(text.match(/^HTTP\/1\.1 \d+/gm), ['HTTP/1.1 103', 'HTTP/1.1 103', 'HTTP/1.1 200'])
    assert.doesNotMatch(text, /Sallyport-X/)
  })

  it('keeps 103 from a caller of HTTP/1.0', async () => {
    const answer = await answerTo(
      `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${OK}`,
      request('GET', '1.0'),
    )
    assert.deepEqual(answer.match(/^HTTP\/1\.\d \d+/gm), ['HTTP/1.1 200'])
  })
})

describe('an answer without content', () => {
  for (const [name, method, answer, length] of [
    ['HEAD with a length', 'HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n', '1234'],
    ['HEAD without one', 'HEAD', 'HTTP/1.1 200 OK\r\n\r\n', null],
    [
      'HEAD of a chunked one',
      'HEAD',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n',
      null,
    ],
    ['204', 'GET', 'HTTP/1.1 204 No Content\r\n\r\n', null],
    ['304', 'GET', 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n', null],
    [
      '304 with the length of what was not sent',
      'GET',
      'HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n',
      '99',
    ],
  ] as const) {
    it(`is ${name}, complete and with the decision id`, async () => {
      const { gateway } = await start([answer, OK])
      const text = await exchangeRaw(gateway.port, request(method))
      assert.equal(contentOf(text), '')
      const lengths = headLines(text).filter((line) => /^content-length:/i.test(line))
      assert.deepEqual(lengths, length === null ? [] : [`Content-Length: ${length}`])
      assert.match(text, /Sallyport-Decision-Id: /)
      assert.doesNotMatch(text, /^trailer:/im)
      // Whatever became of the connection, the next request is answered.
      assert.equal(contentOf(await exchangeRaw(gateway.port, request())), 'ok')
    })
  }
})

describe('the content of an answer', () => {
  it('is chunked with its trailers, but for those that only the gateway may say', async () => {
    const answer = await answerTo(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n' +
        '3\r\nabc\r\n0\r\nX-Sum: 1\r\nX-sum: 2\r\nSallyport-Decision-Id: forged\r\nSet-Cookie: a=1\r\n\r\n',
    )
    assert.match(answer, /\r\nTrailer: X-Sum\r\n/)
    assert.ok(answer.endsWith('3\r\nabc\r\n0\r\nX-Sum: 1\r\nX-sum: 2\r\n\r\n'), answer)
  })

  it('has no trailers for a caller of HTTP/1.0', async () => {
    const answer = await answerTo(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n',
      request('GET', '1.0'),
    )
    assert.equal(contentOf(answer), 'abc')
    assert.doesNotMatch(answer, /X-Sum/)
  })

  it('ends where an answer without a length ends', async () => {
    const answer = await answerTo((_request, socket) => socket.end('HTTP/1.0 200 OK\r\n\r\nall of it'))
    assert.match(contentOf(answer), /^9\r\nall of it\r\n0\r\n\r\n$/)
  })

  it('comes event by event', async () => {
    const { backend, gateway } = await start('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n')
    const client = connectRaw(gateway.port)
    client.write(request())
    await client.until('text/event-stream')
    for (const event of ['data: one\n\n', 'data: two\n\n', 'data: three\n\n']) {
      backend.connections[0]?.write(event)
      await client.until(event)
    }
    backend.connections[0]?.end()
    assert.equal((await client.ended).how, 'end')
  })

  for (const [name, head, die] of [
    ['its length, by an end', 'Content-Length: 100\r\n', 'end'],
    ['its length, by a reset', 'Content-Length: 100\r\n', 'reset'],
    ['its last chunk, by an end', 'Transfer-Encoding: chunked\r\n', 'end'],
    ['its last chunk, by a reset', 'Transfer-Encoding: chunked\r\n', 'reset'],
    [
      'its last chunk on a closing connection, by an end',
      'Transfer-Encoding: chunked\r\nConnection: close\r\n',
      'end',
    ],
    ['any end of it, by a reset', '', 'reset'],
  ] as const) {
    it(`is reset, not ended, when the application dies before ${name}`, async () => {
      const part = head.startsWith('Transfer') ? '4\r\npart\r\n' : 'part'
      const { backend, gateway } = await start(`HTTP/1.1 200 OK\r\n${head}\r\n${part}`)
      const client = connectRaw(gateway.port)
      client.write(request())
      await client.until('part')
      if (die === 'end') backend.connections[0]?.end()
      else backend.connections[0]?.resetAndDestroy()
      const { how, text } = await client.ended
      assert.equal(how, 'reset')
      assert.doesNotMatch(text, /\r\n0\r\n\r\n$/)
      assert.deepEqual(gateway.outcomes, ['done'])
    })
  }

  it('is reset when the application pauses for longer than bodyTimeout', async () => {
    const { gateway } = await start('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart', {
      upstream: { bodyTimeout: 50 },
    })
    const client = connectRaw(gateway.port)
    client.write(request())
    assert.equal((await client.ended).how, 'reset')
  })

  it('is not longer than it says', async () => {
    const { gateway } = await start([
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nX-Smuggled: 1\r\n\r\n',
      OK,
    ])
    assert.equal(contentOf(await exchangeRaw(gateway.port, request())), 'ok')
    const next = await exchangeRaw(gateway.port, request())
    assert.equal(contentOf(next), 'ok')
    assert.doesNotMatch(next, /X-Smuggled/)
  })
})

describe('an answer that is none', () => {
  for (const [name, answer] of [
    ['is not HTTP', 'SSH-2.0-OpenSSH_9.6\r\n\r\n'],
    ['has no status', 'HTTP/1.1 abc OK\r\n\r\n'],
    ['has a status of two digits', 'HTTP/1.1 99 Low\r\nContent-Length: 0\r\n\r\n'],
    ['has a status below all', 'HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n'],
    [
      'has a length and a coding',
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    ],
    ['has two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok'],
    ['has a negative length', 'HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok'],
    [
      'has a coding that nobody undoes',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    ],
    [
      'is chunked twice',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    ],
    ['has a space in a field name', 'HTTP/1.1 200 OK\r\nX Y: 1\r\nContent-Length: 2\r\n\r\nok'],
    ['has a NUL in a field', 'HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 2\r\n\r\nok'],
    ['has a control character in a field', 'HTTP/1.1 200 OK\r\nX: a\x01b\r\nContent-Length: 2\r\n\r\nok'],
    ['has a bare CR in a field', 'HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nok'],
    ['has too large a head', `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(70_000)}\r\nContent-Length: 2\r\n\r\nok`],
    [
      'switches protocols unasked',
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n',
    ],
    ['switches to nothing', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
  ] as const) {
    it(`${name}: 502, and nothing of it is passed on`, async () => {
      const { gateway } = await start([answer, OK])
      const text = await exchangeRaw(
        gateway.port,
        `POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi`,
      )
      assert.match(text, /^HTTP\/1\.1 502 /)
      assert.equal(JSON.parse(contentOf(text)).code, 'upstream_unavailable')
      assert.deepEqual(gateway.outcomes, ['upstream_unavailable'])
      assert.equal(contentOf(await exchangeRaw(gateway.port, request())), 'ok')
    })
  }

  it('closes the connection without a word: 502', async () => {
    const text = await answerTo(
      (_request, socket) => socket.end(),
      'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    )
    assert.match(text, /^HTTP\/1\.1 502 /)
  })
})
