import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { after, describe, it } from 'node:test'
import WebSocket, { WebSocketServer } from 'ws'
import { closedPort, type RawAnswer, type RawBackend, startRawBackend } from '../../support/backend.ts'
import { frame, GOING_AWAY, handshake, SWITCH } from '../../support/websocket.ts'
import { connectRaw, DECISION_ID, type Gateway, type GatewayOptions, startGateway } from './harness.ts'

const closers: (() => Promise<void>)[] = []
after(async () => {
  for (const close of closers) await close()
})

const start = async (
  answers: RawAnswer | readonly RawAnswer[] = SWITCH,
  options: GatewayOptions = {},
): Promise<{ readonly backend: RawBackend; readonly gateway: Gateway }> => {
  const backend = await startRawBackend(answers)
  const gateway = await startGateway(backend.url, options)
  closers.push(gateway.close, backend.close)
  return { backend, gateway }
}

const ended = (socket: Socket): Promise<void> =>
  socket.closed ? Promise.resolve() : new Promise((resolve) => socket.once('close', () => resolve()))

/** The head of an answer, its status line first. */
const headOf = (text: string): readonly string[] => text.slice(0, text.indexOf('\r\n\r\n')).split('\r\n')

describe('the handshake that an application gets', () => {
  for (const target of [
    '//two',
    '/a//b/',
    '/?',
    '/a%2Fb?c=http://d//e&f={1}|"',
    '/a;b=c/..;/d',
    '/%E2%82%AC',
  ]) {
    it(`has the target ${target} byte for byte`, async () => {
      const { backend, gateway } = await start()
      const client = connectRaw(gateway.port)
      client.write(handshake(target))
      await client.until('\r\n\r\n')
      assert.equal(backend.requests[0]?.requestLine, `GET ${target} HTTP/1.1`)
      client.socket.destroy()
    })
  }

  it('keeps bytes and repetition, and has the fields of the gateway and no others', async () => {
    const { backend, gateway } = await start(SWITCH, {
      changes: { identity: null, bound: { headers: ['X-Remote-User', 'alice'] } },
      enforce: {
        carriers: [{ kind: 'authorization', scheme: 'bearer' }],
        controlledHeaders: new Set(['x-remote-user']),
      },
    })
    const client = connectRaw(gateway.port)
    const more = [
      'Authorization: Bearer secret',
      'X-Remote-User: mallory',
      'Sallyport-Decision-Id: forged',
      'x-ODD: 1',
      'X-Latin: caf\xe9',
      'Cookie: a=1',
      'X-Real-IP: 1.2.3.4',
      'X-Forwarded-For: 1.2.3.4',
      'Sec-WebSocket-Protocol: chat, superchat',
      'Sec-WebSocket-Protocol: third',
      'Sec-WebSocket-Extensions: permessage-deflate',
    ].map((line) => `${line}\r\n`)
    client.write(handshake('/', more.join('')))
    await client.until('\r\n\r\n')
    assert.deepEqual(backend.requests[0]?.headerLines, [
      'x-ODD: 1',
      'X-Latin: caf\xe9',
      'Cookie: a=1',
      'Sec-WebSocket-Protocol: chat, superchat',
      'Sec-WebSocket-Protocol: third',
      'Sec-WebSocket-Extensions: permessage-deflate',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      'Sec-WebSocket-Version: 13',
      'Host: bank.example.com',
      'X-Forwarded-For: 192.0.2.7',
      'X-Forwarded-Proto: http',
      'X-Forwarded-Host: bank.example.com',
      'Forwarded: for=192.0.2.7;host=bank.example.com;proto=http',
      'Via: 1.1 sallyport',
      `Sallyport-Decision-Id: ${DECISION_ID}`,
      'X-Remote-User: alice',
      'Connection: Upgrade',
      'Upgrade: websocket',
    ])
    client.socket.destroy()
  })

  it('carries the assertion', async () => {
    const { backend, gateway } = await start()
    const client = connectRaw(gateway.port)
    client.write(handshake('/'))
    await client.until('\r\n\r\n')
    assert.match(backend.requests[0]?.header('sallyport-assertion')[0] ?? '', /^ey[^.]+\.[^.]+\.[^.]+$/)
    client.socket.destroy()
  })
})

describe('the 101 that a caller gets', () => {
  it('has what the application says, cleaned, with repetition and the id of the decision', async () => {
    const { gateway } = await start(
      'HTTP/1.1 101 Whatever\r\nupgrade: WebSocket\r\nConnection: Upgrade, X-Hop\r\nX-Hop: 1\r\nset-Cookie: a=1\r\n' +
        'X-A: 1\r\nSet-Cookie: b=2\r\nX-A: 2\r\nSallyport-Decision-Id: forged\r\nContent-Length: 3\r\n' +
        'Sec-WebSocket-Accept: x\r\nDate: now\r\n\r\n',
    )
    const client = connectRaw(gateway.port)
    client.write(handshake('/'))
    assert.deepEqual(headOf(await client.until('\r\n\r\n')), [
      'HTTP/1.1 101 Switching Protocols',
      'Upgrade: websocket',
      'Connection: Upgrade',
      'set-Cookie: a=1',
      'X-A: 1',
      'Set-Cookie: b=2',
      'X-A: 2',
      'Sec-WebSocket-Accept: x',
      'Date: now',
      `Sallyport-Decision-Id: ${DECISION_ID}`,
    ])
    assert.deepEqual(gateway.outcomes, ['done'])
    client.socket.destroy()
  })

  it('is followed by what came with it, and the application gets what came behind the handshake', async () => {
    const { backend, gateway } = await start((_request, socket) => {
      socket.write(SWITCH + 'early from the application')
    })
    const client = connectRaw(gateway.port)
    client.write(`${handshake('/')}early from the caller`)
    assert.match(await client.until('application'), /\r\n\r\nearly from the application$/)
    const socket = await backend.connection(0)
    const received: Buffer[] = []
    await new Promise<void>((resolve) => {
      socket.on('data', (chunk) => {
        received.push(chunk)
        if (Buffer.concat(received).toString().endsWith('later')) resolve()
      })
      client.write('later')
    })
    client.socket.destroy()
  })

  it('comes after hints, which pass', async () => {
    const { gateway } = await start(
      `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${SWITCH}`,
    )
    const client = connectRaw(gateway.port)
    client.write(handshake('/'))
    const text = await client.until('Switching')
    assert.match(text, /^HTTP\/1\.1 103 \r\nLink: <\/a>\r\n\r\nHTTP\/1\.1 101 /)
    client.socket.destroy()
  })
})

describe('an answer that is no switch', () => {
  const passed: Readonly<Record<string, readonly [string, RegExp]>> = {
    'of a known length': [
      'HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\nX-A: 1\r\nX-A: 2\r\n\r\nnope',
      /^HTTP\/1\.1 403 Forbidden\r\nContent-Length: 4\r\nX-A: 1\r\nX-A: 2\r\nSallyport-Decision-Id: [^\r]+\r\nDate: [^\r]+\r\nConnection: close\r\n\r\nnope$/,
    ],
    'in chunks with trailers': [
      'HTTP/1.1 426 Upgrade Required\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n4\r\nnope\r\n0\r\nX-T: 1\r\n\r\n',
      /^HTTP\/1\.1 426 Upgrade Required\r\nTrailer: X-T\r\n[\s\S]*Transfer-Encoding: chunked\r\n\r\n4\r\nnope\r\n0\r\nX-T: 1\r\n\r\n$/,
    ],
    'without a body': ['HTTP/1.1 204 No Content\r\n\r\n', /^HTTP\/1\.1 204 No Content\r\n[\s\S]*\r\n\r\n$/],
    'that says upgrade on a 200': [
      'HTTP/1.1 200 OK\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nok',
      /^HTTP\/1\.1 200 OK\r\nContent-Length: 2\r\nSallyport-Decision-Id: [^\r]+\r\nDate: [^\r]+\r\nConnection: close\r\n\r\nok$/,
    ],
  }
  for (const [name, [sent, expected]] of Object.entries(passed)) {
    it(`${name} goes to the caller as it is, and ends the connection`, async () => {
      const { backend, gateway } = await start(sent)
      const client = connectRaw(gateway.port)
      client.write(`${handshake('/')}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`)
      const { text, how } = await client.ended
      assert.match(text, expected)
      assert.equal(how, 'end')
      assert.match(text, new RegExp(DECISION_ID))
      assert.deepEqual(gateway.outcomes, ['done'])
      await ended(await backend.connection(0))
      assert.equal(backend.requests.length, 1)
    })
  }

  it('is held back for a slow reader and arrives whole', async () => {
    const size = 8 << 20
    const { gateway } = await start((_request, socket) => {
      socket.write(`HTTP/1.1 400 Bad Request\r\nContent-Length: ${size}\r\n\r\n`)
      socket.write(Buffer.alloc(size, 'x'))
    })
    const client = connectRaw(gateway.port)
    client.socket.pause()
    client.write(handshake('/'))
    while (gateway.pauses() === 0) await new Promise((resolve) => setImmediate(resolve))
    client.socket.resume()
    const { text } = await client.ended
    assert.equal(text.length - text.indexOf('\r\n\r\n') - 4, size)
  })

  it('that breaks off is cut, so that it cannot look complete', async () => {
    const { gateway } = await start((_request, socket) => {
      socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 10\r\n\r\nhalf')
    })
    const client = connectRaw(gateway.port)
    client.write(handshake('/'))
    assert.equal((await client.ended).how, 'reset')
  })
})

describe('an application that fails at the handshake', () => {
  const refused: Readonly<Record<string, readonly [RawAnswer, string]>> = {
    'switches to nothing': ['HTTP/1.1 101 Switching Protocols\r\n\r\nraw', '502'],
    'switches without saying so in Connection': [
      'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\nraw',
      '502',
    ],
    'switches to something else': [
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nraw',
      '502',
    ],
    'switches to two protocols': [
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n\r\nraw',
      '502',
    ],
    'does not speak HTTP': ['SSH-2.0-OpenSSH_9.6\r\n', '502'],
    'hangs up': [(_request, socket) => socket.destroy(), '502'],
    'sends a head without end': [`HTTP/1.1 101 Switching Protocols\r\nX-A: ${'a'.repeat(70_000)}`, '502'],
    'says nothing': [() => undefined, '504'],
  }
  for (const [name, [answer, status]] of Object.entries(refused)) {
    it(`and ${name} is answered for with ${status}`, async () => {
      const { backend, gateway } = await start(answer, { upstream: { headersTimeout: 500 } })
      const client = connectRaw(gateway.port)
      client.write(handshake('/'))
      const { text, how } = await client.ended
      assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} `))
      assert.match(text, /Content-Type: application\/problem\+json/)
      assert.doesNotMatch(text, /raw|SSH/)
      assert.equal(how, 'end')
      await ended(await backend.connection(0))
    })
  }

  it('and is not there is answered for with 502', async () => {
    const gateway = await startGateway(`http://127.0.0.1:${await closedPort()}`)
    closers.push(gateway.close)
    const client = connectRaw(gateway.port)
    client.write(handshake('/'))
    assert.match((await client.ended).text, /^HTTP\/1\.1 502 /)
    assert.deepEqual(gateway.outcomes, ['upstream_unavailable'])
  })
})

describe('a tunnel', () => {
  const open = async (options: GatewayOptions = {}) => {
    const { backend, gateway } = await start(SWITCH, options)
    const client = connectRaw(gateway.port)
    client.write(handshake('/'))
    await client.until('\r\n\r\n')
    return { gateway, client, application: await backend.connection(0) }
  }

  it('goes with the caller, however that goes', async () => {
    for (const leave of ['destroy', 'resetAndDestroy', 'end'] as const) {
      const { application, client } = await open()
      application.resume()
      client.socket[leave]()
      await ended(application)
    }
  })

  it('goes with the application, however that goes', async () => {
    for (const leave of ['destroy', 'resetAndDestroy', 'end'] as const) {
      const { application, client } = await open()
      application[leave]()
      await client.ended
    }
  })

  it('goes with a caller that left before it was open', async () => {
    const { backend, gateway } = await start(() => undefined)
    const client = connectRaw(gateway.port)
    client.write(handshake('/'))
    await backend.request(0)
    client.socket.resetAndDestroy()
    await ended(await backend.connection(0))
    await gateway.settled(1)
    assert.deepEqual(gateway.outcomes, ['done'])
  })

  it('delivers what the application said before it ended, also to a slow reader', async () => {
    const { application, client } = await open()
    const size = 4 << 20
    client.socket.pause()
    application.end(Buffer.alloc(size, 'y'))
    await new Promise<void>((resolve) => application.once('finish', resolve))
    client.socket.resume()
    const { text } = await client.ended
    assert.equal(text.length - text.indexOf('\r\n\r\n') - 4, size)
  })

  it('holds the application back while the caller does not read, and is cut when that lasts', async () => {
    const cuts: object[] = []
    const log = {
      debug: () => {},
      info: () => {},
      error: () => {},
      warn: (fields: object) => cuts.push(fields),
    }
    const { application, client } = await open({ upstream: { stallTimeout: 300 }, enforce: { log } })
    client.socket.pause()
    const chunk = Buffer.alloc(1 << 20, 'z')
    let written = 0
    const pour = (): void => {
      while (written < 512 && application.write(chunk)) written += 1
    }
    application.on('drain', pour).on('error', () => undefined)
    pour()
    await ended(application)
    assert.ok(written < 128, `the application could write ${written} MiB`)
    assert.deepEqual(cuts, [{ upstream: 'core', decisionId: DECISION_ID, code: 'SALLYPORT_STALLED' }])
  })

  it('holds the caller back while the application does not read', async () => {
    const { application, client } = await open()
    application.removeAllListeners('data')
    application.pause()
    const chunk = Buffer.alloc(1 << 20, 'z')
    let written = 0
    while (written < 128 && client.socket.write(chunk)) {
      written += 1
      await new Promise((resolve) => setImmediate(resolve))
    }
    assert.ok(written < 128)
    let received = 0
    const all = new Promise<void>((resolve) => {
      application.on('data', (bytes: Buffer) => {
        received += bytes.length
        if (received >= (written + 1) << 20) resolve()
      })
    })
    application.resume()
    await all
    client.socket.destroy()
  })
})

describe('a gateway that goes away', () => {
  const listen = async (answer: RawAnswer = SWITCH) => {
    const { backend, gateway } = await start(answer)
    const client = connectRaw(gateway.port)
    client.write(handshake('/'))
    await client.until('\r\n\r\n')
    return { gateway, client, application: await backend.connection(0) }
  }
  const away = GOING_AWAY.toString('latin1')

  it('says so between two frames, and ends when both sides have', async () => {
    const { gateway, client, application } = await listen()
    application.write(frame(1, 'hello'))
    await client.until('hello')
    const closed = gateway.drain(60_000)
    const text = await client.until(away)
    assert.ok(text.endsWith(`hello${away}`))
    // The caller's own Close goes to the application, which then ends the connection.
    const answered = new Promise<void>((resolve) => application.once('data', () => resolve()))
    client.write(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9]))
    await answered
    application.end(frame(8, Buffer.from([0x03, 0xe9])))
    const { text: all, how } = await client.ended
    assert.ok(all.endsWith(`hello${away}`), 'nothing follows a Close')
    assert.equal(how, 'end')
    await closed
  })

  it('waits for the end of a frame that is on its way', async () => {
    const { gateway, client, application } = await listen()
    const long = frame(2, Buffer.alloc(70_000, 'x'))
    application.write(long.subarray(0, 30_000))
    await client.until('x'.repeat(20_000))
    const closed = gateway.drain(60_000)
    application.write(Buffer.concat([long.subarray(30_000), frame(1, 'too late')]))
    const text = await client.until(away)
    assert.ok(text.endsWith(`${long.toString('latin1')}${away}`))
    client.socket.end()
    application.end()
    await closed
  })

  it('says nothing behind a Close of the application', async () => {
    const { gateway, client, application } = await listen()
    application.write(frame(8, Buffer.from([0x03, 0xe8])))
    await client.until('\x88\x02\x03\xe8')
    const closed = gateway.drain(60_000)
    application.end()
    const { text } = await client.ended
    assert.ok(!text.includes(away))
    await closed
  })

  it('cuts who does not answer', async () => {
    const { gateway, client, application } = await listen()
    const closed = gateway.drain(200)
    await closed
    await client.ended
    await ended(application)
  })

  it('says so to who is accepted only then', async () => {
    let grant = (): void => undefined
    const { backend, gateway } = await start((_request, socket) => {
      grant = () => socket.write(SWITCH)
    })
    const client = connectRaw(gateway.port)
    client.write(handshake('/'))
    await backend.request(0)
    const closed = gateway.drain(60_000)
    grant()
    await client.until(away)
    client.socket.destroy()
    await closed
  })
})

describe('an unmodified client', () => {
  it('exchanges text, binary, large and compressed messages, and chooses a protocol', async () => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: { threshold: 0 } })
    await new Promise<void>((resolve) => server.once('listening', resolve))
    server.on('connection', (socket) => {
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
    })
    const address = server.address()
    assert.ok(typeof address === 'object' && address !== null)
    const gateway = await startGateway(`http://127.0.0.1:${address.port}`)
    closers.push(gateway.close, () => new Promise((resolve) => server.close(() => resolve())))
    const client = new WebSocket(`ws://127.0.0.1:${gateway.port}/chat?a=1`, ['chat', 'other'])
    await new Promise<void>((resolve, reject) => client.once('open', resolve).once('error', reject))
    assert.equal(client.protocol, 'chat')
    assert.match(client.extensions, /permessage-deflate/)
    for (const message of ['hello', '', 'x'.repeat(3_000_000), Buffer.alloc(100_000, 7)]) {
      const answer = new Promise<unknown>((resolve) => {
        client.once('message', (data, isBinary) => resolve(isBinary ? data : String(data)))
      })
      client.send(message)
      assert.deepEqual(await answer, message)
    }
    const closed = new Promise<number>((resolve) => client.once('close', resolve))
    client.close(1000)
    assert.equal(await closed, 1000)
  })
})
