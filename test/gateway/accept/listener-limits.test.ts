import assert from 'node:assert/strict'
import type { Socket } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import type { Exchange } from '../../../src/core/exchange.ts'
import { isRefusal } from '../../../src/core/refusals.ts'
import { createAdmission } from '../../../src/gateway/accept/admission.ts'
import type { LimitsConfig } from '../../../src/gateway/accept/config.ts'
import { createAuthority } from '../../support/certificates.ts'
import { openRaw, openTls, type RawConnection } from '../../support/raw-http.ts'
import { handshake } from '../../support/websocket.ts'
import { answerOk, echo, LIMITS, materialOf, startListener } from './support.ts'

const { cert, key } = createAuthority().issue({ commonName: 'gateway', names: ['bank.test'] })
const material = materialOf({ cert, key }, { certFile: 'cert', keyFile: 'key' })
const GET = 'GET / HTTP/1.1\r\nHost: bank.test\r\n\r\n'

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

for (const [transport, tls, open] of [
  ['TCP', null, undefined],
  ['TLS', material, openTls],
] as const) {
  const start = async (
    t: TestContext,
    limits: Partial<LimitsConfig>,
    answer: (exchange: Exchange) => void = answerOk,
  ) => {
    const listener = await startListener(answer, limits, tls)
    const connections: RawConnection[] = []
    t.after(() => {
      for (const connection of connections) connection.destroy()
      return listener.listener.close(0)
    })
    const connect = async (): Promise<RawConnection> => {
      const connection = await openRaw(listener.port, 5000, open)
      connections.push(connection)
      return connection
    }
    /** True when one more connection is served. */
    const isServed = async (): Promise<boolean> => {
      const connection = await connect()
      connection.send(GET)
      try {
        return (await connection.response()).status === 200
      } catch {
        return false
      }
    }
    const serve = async (): Promise<RawConnection> => {
      const connection = await connect()
      connection.send(GET)
      assert.equal((await connection.response()).status, 200)
      return connection
    }
    return { ...listener, connect, serve, isServed }
  }

  describe(`the limits of a listener over ${transport}`, () => {
    test('headerBytes: what is over it is answered with 431 and told once', async (t) => {
      const { connect, refused, exchanges } = await start(t, { headerBytes: 2048 })
      const fits = await connect()
      fits.send(`GET / HTTP/1.1\r\nHost: bank.test\r\nX: ${'a'.repeat(1900)}\r\n\r\n`)
      assert.equal((await fits.response()).status, 200)
      for (const bytes of [
        `GET /big HTTP/1.1\r\nHost: bank.test\r\nX: ${'a'.repeat(4000)}\r\n\r\n`,
        `GET /big HTTP/1.1\r\nHost: bank.test\r\n${'X: a\r\n'.repeat(600)}\r\n`,
        `GET /${'a'.repeat(4000)} HTTP/1.1\r\nHost: bank.test\r\n\r\n`,
        `GET /big HTTP/1.1\r\nHost: bank.test\r\nX:${' '.repeat(2100)}a\r\n\r\n`,
        `GET /big HTTP/1.1\r\nHost: bank.test\r\nX:${' '.repeat(200_000)}a\r\n\r\n`,
        handshake('/big', `X:${' '.repeat(2100)}a\r\n`),
      ]) {
        const connection = await connect()
        connection.send(bytes)
        assert.equal((await connection.response()).status, 431)
        await connection.closed()
      }
      assert.deepEqual(
        refused.map(({ refusal }) => refusal),
        Array(6).fill('headers_too_large'),
      )
      assert.equal(exchanges.length, 1)
    })

    test('headersTimeout: a head that stalls, or comes byte by byte, is answered with 408 and told once', async (t) => {
      const { connect, refused, exchanges } = await start(t, { headersTimeout: 400 })
      const stalled = await connect()
      stalled.send('GET /slow HTTP/1.1\r\nHost: bank.test\r\n')
      const dripping = await connect()
      dripping.send('GET /drip HTTP/1.1\r\nHost: bank.test\r\nX: ')
      const drip = setInterval(() => dripping.send('x'), 20)
      try {
        assert.equal((await stalled.response()).status, 408)
        assert.equal((await dripping.response()).status, 408)
      } finally {
        clearInterval(drip)
      }
      await Promise.all([stalled.closed(), dripping.closed()])
      assert.deepEqual(refused.map(({ refusal, request }) => [refusal, request.path]).sort(), [
        ['request_timeout', '/drip'],
        ['request_timeout', '/slow'],
      ])
      assert.equal(exchanges.length, 0)
    })

    test('headersTimeout: a later head has as long, whatever came before it', async (t) => {
      const { connect, refused } = await start(t, { headersTimeout: 1_000 }, echo)
      const CHUNKED = 'POST / HTTP/1.1\r\nHost: bank.test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n'
      const ends = [
        [GET, 'GET /later HTTP/1.1\r\n'],
        [`${GET}GET /same HTTP/1.1\r\n`, ''],
        [`${CHUNKED}0\r\n\r\n`, 'GET /after-chunks HTTP/1.1\r\n'],
        [`${CHUNKED}0\r\n\r\nGET /behind-chunks HTTP/1.1\r\n`, ''],
      ].map(async ([first = '', later = '']) => {
        const connection = await connect()
        connection.send(first)
        assert.equal((await connection.response()).status, 200)
        connection.send(later)
        assert.equal((await connection.response()).status, 408)
        assert.equal(await connection.closed(), 'end')
      })
      await Promise.all(ends)
      assert.deepEqual(
        refused.map(({ refusal }) => refusal),
        Array(4).fill('request_timeout'),
      )
    })

    test('headersTimeout: what is no head is not waited for', async (t) => {
      const { connect, refused } = await start(t, { headersTimeout: 1_000 }, (exchange) => {
        if (exchange.head.target === '/slow') setTimeout(() => answerOk(exchange), 2_200)
        else echo(exchange)
      })
      const CHUNKED = 'POST / HTTP/1.1\r\nHost: bank.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'
      const SLOW = 'GET /slow HTTP/1.1\r\nHost: bank.test\r\n\r\n'
      const begins = [GET, `${CHUNKED}`, `${GET}\r\n`, `${CHUNKED}\r\n`].map(async (first) => {
        const connection = await connect()
        connection.send(`${first}${SLOW}`)
        for (let count = 0; count < 2; count += 1)
          assert.equal((await connection.response()).status, 200, JSON.stringify(first))
        connection.send(`\r\n`)
        await wait(1_500)
        connection.send(GET)
        assert.equal((await connection.response()).status, 200, JSON.stringify(first))
      })
      const upgrade = connect().then(async (connection) => {
        connection.send(`${SLOW.replace('\r\n\r\n', '\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n')}${GET}`)
        assert.equal((await connection.response()).status, 200)
        assert.equal(await connection.closed(), 'end')
      })
      await Promise.all([...begins, upgrade])
      assert.deepEqual(refused, [])
    })

    test('keepAliveTimeout: an idle connection is closed without a word', async (t) => {
      const { serve, refused } = await start(t, { keepAliveTimeout: 100 })
      const connection = await serve()
      const length = connection.bytes().length
      assert.equal(await connection.closed(), 'end')
      assert.equal(connection.bytes().length, length)
      assert.equal(refused.length, 0)
    })

    test('bodyIdleTimeout: a body that pauses fails as the fault of the caller', async (t) => {
      const failures: unknown[] = []
      const { connect } = await start(t, { bodyIdleTimeout: 100 }, ({ body, reply }) => {
        body.on('error', (error) => {
          failures.push(isRefusal(error) ? error.refusal : error)
          reply.head(408, '', ['Content-Length', '0'])
          reply.end()
        })
        body.resume()
      })
      const connection = await connect()
      connection.send('POST / HTTP/1.1\r\nHost: bank.test\r\nContent-Length: 9\r\n\r\nhalf')
      assert.equal((await connection.response()).status, 408)
      await connection.closed()
      assert.deepEqual(failures, ['request_timeout'])
    })

    test('stallTimeout: a caller that does not read the end of its answer is cut', async (t) => {
      const { connect, listener } = await start(t, { stallTimeout: 200 }, ({ reply }) => {
        reply.head(200, 'OK', ['Content-Length', String(64 << 20)])
        reply.end(Buffer.alloc(64 << 20))
      })
      const connection = await connect()
      connection.send(GET)
      await connection.received((text) => text.length > 0)
      connection.socket.pause()
      while (listener.connections() > 0) await settled()
    })

    test('connections: one over them is closed, WebSockets included, until another has gone', async (t) => {
      const answer = (exchange: Exchange): void => {
        if (exchange.upgrade === undefined) return answerOk(exchange)
        const socket = exchange.upgrade.accept(['Upgrade', 'websocket', 'Connection', 'Upgrade'])
        socket.on('error', () => undefined)
        socket.on('end', () => socket.end())
        socket.resume()
      }
      const { connect, serve, isServed, listener } = await start(t, { connections: 2 }, answer)
      const tunnel = await connect()
      tunnel.send(handshake('/'))
      await tunnel.received((text) => text.startsWith('HTTP/1.1 101 '))
      const kept = await serve()
      assert.equal(await isServed(), false)
      tunnel.destroy()
      while (listener.connections() > 1) await settled()
      assert.equal(await isServed(), true)
      kept.destroy()
    })

    test('connectionsPerAddress: the same for one address', async (t) => {
      const { serve, isServed, listener } = await start(t, { connectionsPerAddress: 2 })
      const [first] = [await serve(), await serve()]
      assert.equal(await isServed(), false)
      assert.equal(await isServed(), false)
      first.destroy()
      while (listener.connections() > 1) await settled()
      assert.equal(await isServed(), true)
    })

    test('connectionsPerAddress does not count for a proxy that is trusted', async (t) => {
      const limits = { ...LIMITS, connectionsPerAddress: 1 }
      const { serve, isServed, listener } = await start(t, limits)
      await serve()
      assert.equal(await isServed(), false)
      const trustedProxies = [{ cidrs: ['127.0.0.0/8'], headers: ['x-forwarded-for' as const] }]
      listener.configure({ config: { bind: '127.0.0.1:0', trustedProxies }, limits, tls })
      assert.equal(await isServed(), true)
      assert.equal(await isServed(), true)
    })

    test('change with an edit, for connections that come later', async (t) => {
      const { serve, isServed, connect, listener, refused } = await start(t, { connections: 1 })
      await serve()
      assert.equal(await isServed(), false)
      listener.configure({ config: { bind: '127.0.0.1:0' }, limits: { ...LIMITS, headerBytes: 1024 }, tls })
      assert.equal(await isServed(), true)
      const connection = await connect()
      connection.send(`GET / HTTP/1.1\r\nHost: bank.test\r\nX: ${'a'.repeat(2000)}\r\n\r\n`)
      assert.equal((await connection.response()).status, 431)
      assert.equal(refused.length, 1)
    })

    test('do not cut a WebSocket that is quiet', async (t) => {
      const limits = {
        headersTimeout: 100,
        requestTimeout: 100,
        keepAliveTimeout: 100,
        stallTimeout: 100,
        bodyIdleTimeout: 100,
      }
      const { connect, serve } = await start(t, limits, (exchange) => {
        if (exchange.upgrade === undefined) return answerOk(exchange)
        const socket = exchange.upgrade.accept(['Upgrade', 'websocket', 'Connection', 'Upgrade'])
        socket.on('error', () => undefined)
        socket.pipe(socket)
      })
      const tunnel = await connect()
      tunnel.send(handshake('/'))
      await tunnel.received((text) => text.includes('\r\n\r\n'))
      // Others that came later, and the next after them, have been cut by the same limits since.
      for (let round = 0; round < 3; round += 1) await (await serve()).closed()
      tunnel.send('still here')
      await tunnel.received((text) => text.endsWith('still here'))
    })
  })
}

test('callers of one network of IPv6 are one address, and those of others are not', () => {
  const { admit } = createAdmission(() => 1)
  const from = (remoteAddress: string): boolean =>
    // Only the address and the end of the socket are looked at.
    admit({ remoteAddress, on: () => undefined } as unknown as Socket)
  assert.equal(from('2001:db8::1'), true)
  assert.equal(from('2001:db8::ffff:2'), false)
  assert.equal(from('2001:db8:0:1::1'), true)
  assert.equal(from('192.0.2.1'), true)
  assert.equal(from('::ffff:192.0.2.1'), false)
  assert.equal(from('192.0.2.2'), true)
})
