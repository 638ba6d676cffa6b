import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { describe, it, type TestContext } from 'node:test'
import { createDeparture } from '../../../src/core/departure.ts'
import type { Exchange } from '../../../src/core/exchange.ts'
import { type BodyLimits, readBody } from '../../../src/gateway/bind/body.ts'

const nobody = (): never => assert.fail('nothing is answered here')

const exchangeOf = (
  body: PassThrough | IncomingMessage,
  headers: readonly string[] = [],
  departure = createDeparture(),
): Exchange => ({
  head: {
    method: 'POST',
    target: '/',
    httpVersion: '1.1',
    headers,
    remoteAddress: '127.0.0.1',
    listener: 'test',
    tls: false,
  },
  body,
  reply: {
    headSent: () => false,
    informational: nobody,
    head: nobody,
    write: nobody,
    onDrain: nobody,
    trailers: nobody,
    end: nobody,
    abort: nobody,
  },
  ...departure,
})

const LIMITS: BodyLimits = { maxBytes: 10, timeoutMs: 60_000 }
const refusalOf = (result: Buffer | { readonly refusal: string }): string =>
  Buffer.isBuffer(result) ? assert.fail('it was read') : result.refusal

describe('readBody', () => {
  it('gives the bytes of every chunk', async () => {
    const body = new PassThrough()
    const reading = readBody(exchangeOf(body), LIMITS)
    body.write('01234')
    body.end('56789')
    assert.deepEqual(await reading, Buffer.from('0123456789'))
  })

  it('gives nothing for nothing, also when the stream ended before', async () => {
    const body = new PassThrough()
    body.end()
    body.resume()
    await once(body, 'end')
    assert.deepEqual(await readBody(exchangeOf(body), LIMITS), Buffer.alloc(0))
  })

  it('refuses by Content-Length before anything is read', async () => {
    const body = new PassThrough()
    assert.equal(refusalOf(await readBody(exchangeOf(body, ['Content-Length', '11']), LIMITS)), 'too_large')
    assert.equal(body.readableFlowing, null)
  })

  it('refuses at the first byte too many, and stops reading', async () => {
    const body = new PassThrough()
    const reading = readBody(exchangeOf(body), LIMITS)
    body.write('0123456789')
    body.write('x')
    assert.equal(refusalOf(await reading), 'too_large')
    assert.equal(body.isPaused(), true)
    assert.equal(body.listenerCount('data'), 0)
  })

  it('refuses when the body takes too long', async () => {
    const body = new PassThrough()
    body.write('0')
    const reading = readBody(exchangeOf(body), { ...LIMITS, timeoutMs: 1 })
    assert.equal(refusalOf(await reading), 'request_timeout')
  })

  it('ends when the caller goes away', async () => {
    const departure = createDeparture()
    const aborted = readBody(exchangeOf(new PassThrough(), [], departure), LIMITS)
    departure.gone()
    assert.equal(refusalOf(await aborted), 'bad_request')

    const body = new PassThrough()
    const destroyed = readBody(exchangeOf(body), LIMITS)
    body.destroy(new Error('reset'))
    assert.equal(refusalOf(await destroyed), 'bad_request')

    const gone = new PassThrough()
    gone.destroy()
    assert.equal(refusalOf(await readBody(exchangeOf(gone), LIMITS)), 'bad_request')
  })

  it('survives a stream that fails after it was read', async () => {
    const body = new PassThrough()
    const reading = readBody(exchangeOf(body), LIMITS)
    body.write('01234567890')
    assert.equal(refusalOf(await reading), 'too_large')
    const closed = new Promise((resolve) => body.once('close', resolve))
    body.destroy(new Error('late'))
    await closed
  })
})

/** Sends bytes to a real server and gives what `readBody` made of them. */
const overSocket = async (t: TestContext, send: (socket: Socket) => void) => {
  const server = createServer()
  const read = new Promise<Awaited<ReturnType<typeof readBody>>>((resolve) => {
    server.on('request', (request) => resolve(readBody(exchangeOf(request, request.rawHeaders), LIMITS)))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  // A listening TCP server has an address with a port.
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.on('error', () => undefined)
  t.after(() => {
    socket.destroy()
    server.closeAllConnections()
    server.close()
  })
  send(socket)
  return read
}

const HEAD = 'POST / HTTP/1.1\r\nHost: a\r\n'

describe('readBody over a socket', () => {
  it('reads a chunked body without its framing', async (t) => {
    const result = await overSocket(t, (socket) =>
      socket.write(`${HEAD}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n`),
    )
    assert.deepEqual(result, Buffer.from('abcde'))
  })

  it('refuses a chunked body without end at the first byte too many', async (t) => {
    const result = await overSocket(t, (socket) =>
      socket.write(`${HEAD}Transfer-Encoding: chunked\r\n\r\nff\r\n0123456789a`),
    )
    assert.equal(refusalOf(result), 'too_large')
  })

  it('notices that the connection was cut', async (t) => {
    const result = await overSocket(t, (socket) => {
      socket.write(`${HEAD}Content-Length: 5\r\n\r\nab`, () => socket.destroy())
    })
    assert.equal(refusalOf(result), 'bad_request')
  })
})
