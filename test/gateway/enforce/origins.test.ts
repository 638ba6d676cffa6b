import assert from 'node:assert/strict'
import { EventEmitter, once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, describe, it } from 'node:test'
import type { Log } from '../../../src/core/log.ts'
import { closedPort, OK, type RawAnswer, type RawBackend, startRawBackend } from '../../support/backend.ts'
import { createAuthority } from '../../support/certificates.ts'
import { handshake, SWITCH } from '../../support/websocket.ts'
import { type ManualClock, manualClock } from '../decide/manual-clock.ts'
import { connectRaw, exchangeRaw, type Gateway, type GatewayOptions, startGateway } from './harness.ts'

const closers: (() => Promise<void>)[] = []
after(async () => {
  for (const close of closers) await close()
})

const get = (target: string): string => `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`
const post = (body: string): string =>
  `POST /t HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`

interface World {
  readonly gateway: Gateway
  readonly clock: ManualClock
  readonly messages: readonly string[]
  /** Emits `line` after each message. */
  readonly logged: EventEmitter
}

const startPool = async (urls: readonly string[], options: GatewayOptions = {}): Promise<World> => {
  const clock = manualClock()
  const messages: string[] = []
  const logged = new EventEmitter()
  const note = (_fields: object, message: string): void => {
    messages.push(message)
    logged.emit('line')
  }
  const log: Log = { debug: () => undefined, info: note, warn: note, error: note }
  const upstream = { ...options.upstream, url: undefined, urls: [...urls] }
  const gateway = await startGateway('', { ...options, clock, upstream, enforce: { log } })
  closers.push(gateway.close)
  return { gateway, clock, messages, logged }
}

const backend = async (...args: Parameters<typeof startRawBackend>): Promise<RawBackend> => {
  const started = await startRawBackend(...args)
  closers.push(started.close)
  return started
}

const nobody = async (): Promise<string> => `http://127.0.0.1:${await closedPort()}`

const statuses = async (port: number, requests: readonly string[]): Promise<readonly string[]> => {
  const seen: string[] = []
  for (const request of requests) seen.push((await exchangeRaw(port, request)).slice(9, 12))
  return seen
}

/** Waits until just these serve. */
const originsAre = async ({ gateway, logged }: World, up: readonly boolean[]): Promise<void> => {
  const areUp = () => gateway.upstreamStatus().origins.map(({ isOut }) => !isOut)
  while (areUp().join() !== up.join()) await once(logged, 'line')
}

const resets: RawAnswer = (_request, socket) => socket.resetAndDestroy()

describe('an origin that cannot be reached', () => {
  it('fails no request while another origin is there, whatever the method', async () => {
    const alive = await backend()
    const { gateway } = await startPool([await nobody(), alive.url])
    const requests = [get('/1'), post('hello'), get('/3'), post('again')]
    assert.deepEqual(await statuses(gateway.port, requests), ['200', '200', '200', '200'])
    assert.deepEqual(
      alive.requests.map(({ body }) => body.toString()),
      ['', 'hello', '', 'again'],
    )
  })

  it('fails no upload that streams, not even one that waits to be asked for its body', async () => {
    const alive = await backend()
    const { gateway } = await startPool([await nobody(), alive.url])
    const client = connectRaw(gateway.port)
    client.write('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n')
    await client.until('100 Continue')
    client.write('hello')
    await client.until('200 OK')
    assert.equal(alive.requests[0]?.body.toString(), 'hello')
    client.socket.destroy()
  })

  it('fails no WebSocket', async () => {
    const alive = await backend(SWITCH)
    const { gateway } = await startPool([await nobody(), alive.url])
    const client = connectRaw(gateway.port)
    client.write(handshake('/chat'))
    await client.until('101 Switching Protocols')
    client.socket.destroy()
  })

  it('gets the Host of the origin that is asked in its place', async () => {
    const alive = await backend()
    const { gateway } = await startPool([await nobody(), alive.url], { upstream: { host: 'upstream' } })
    await exchangeRaw(gateway.port, get('/'))
    assert.deepEqual(alive.requests[0]?.header('host'), [`127.0.0.1:${alive.port}`])
  })

  it('is left out after failures in a row, and serves again after a trial', async () => {
    const alive = await backend()
    const port = await closedPort()
    const dead = `http://127.0.0.1:${port}`
    const { gateway, clock, messages } = await startPool([dead, alive.url])
    await statuses(gateway.port, [get('/1'), get('/2'), get('/3'), get('/4'), get('/5'), get('/6')])
    const { origins, retries } = gateway.upstreamStatus()
    assert.deepEqual(
      origins.map(({ isOut }) => isOut),
      [true, false],
    )
    assert.equal(retries, 3)
    const back = await backend(OK, { port })
    await statuses(gateway.port, [get('/7'), get('/8')])
    assert.equal(back.requests.length, 0)
    clock.pass(2000)
    await statuses(gateway.port, [get('/9'), get('/10'), get('/11'), get('/12')])
    assert.equal(back.requests.length, 2)
    assert.deepEqual(messages, [
      'an origin keeps failing, and is left out where others serve',
      'an origin serves again',
    ])
  })

  it('is not asked for a while when it is the only one, then by one request, then by all', async () => {
    const port = await closedPort()
    const { gateway, clock } = await startPool([`http://127.0.0.1:${port}`])
    await statuses(gateway.port, [get('/1'), get('/2'), get('/3')])
    const back = await backend(OK, { port })
    assert.match(
      await exchangeRaw(gateway.port, get('/4')),
      /^HTTP\/1\.1 502 .*"code":"upstream_unavailable"/s,
    )
    assert.equal(back.connections.length, 0)
    clock.pass(2000)
    assert.deepEqual(await statuses(gateway.port, [get('/5'), get('/6')]), ['200', '200'])
  })

  it('keeps nobody waiting for the connections of many dead ones', async () => {
    const alive = await backend()
    const dead = await Promise.all([nobody(), nobody(), nobody(), nobody()])
    const { gateway } = await startPool([...dead, alive.url])
    assert.deepEqual(await statuses(gateway.port, [get('/1')]), ['502'])
    assert.equal(gateway.upstreamStatus().retries, 2)
  })
})

describe('an origin behind TLS that accepts connections and says nothing', () => {
  const authority = createAuthority()
  const { cert, key } = authority.issue({ commonName: 'app', names: ['127.0.0.1'] })
  const upstreamTls = { ca: Buffer.from(authority.cert), serverName: null }

  const startSecure = async (): Promise<string> => {
    const server = createServer({ cert, key }, (request, response) => {
      request.resume().on('end', () => response.end('ok'))
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    closers.push(async () => {
      server.closeAllConnections()
      server.close()
    })
    // An address object is certain here: the server listens on TCP.
    return `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  for (const [name, limits] of [
    ['without a limit of connections', {}],
    ['with one', { maxConnections: 1 }],
  ] as const) {
    it(`fails no request, and is left out, ${name}`, async () => {
      const silent = await backend(() => undefined)
      const urls = [silent.url.replace('http:', 'https:'), await startSecure()]
      const breaker = { failures: 2, trialEvery: 60_000 }
      const upstream = { ...limits, connectTimeout: 100, breaker }
      const world = await startPool(urls, { upstream, upstreamTls })
      const requests = [get('/1'), post('pay'), get('/3'), post('again')]
      assert.deepEqual(await statuses(world.gateway.port, requests), ['200', '200', '200', '200'])
      await originsAre(world, [false, true])
    })
  }
})

describe('an origin that resets what it was sent', () => {
  it('gets requests that may be repeated answered elsewhere, and no other one sent twice', async () => {
    const [broken, alive] = [await backend(resets), await backend()]
    const { gateway } = await startPool([broken.url, alive.url])
    assert.deepEqual(await statuses(gateway.port, [get('/1'), get('/2'), post('pay')]), ['200', '200', '502'])
    assert.equal(broken.requests.length, 3)
    assert.equal(alive.requests.length, 2)
  })

  it('gets a body that the mapping has read sent elsewhere, where the method allows it', async () => {
    const [broken, alive] = [await backend(resets), await backend()]
    const { gateway } = await startPool([broken.url, alive.url], {
      changes: { bound: { body: Buffer.from('{"a": 1}') } },
    })
    const put = 'PUT /1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 8\r\n\r\n{"a": 1}'
    assert.deepEqual(await statuses(gateway.port, [put]), ['200'])
    assert.equal(alive.requests[0]?.body.toString(), '{"a": 1}')
  })

  it('takes a request that is deadly to two origins and no more', async () => {
    const broken = [await backend(resets), await backend(resets), await backend(resets)]
    const { gateway } = await startPool(broken.map(({ url }) => url))
    assert.deepEqual(await statuses(gateway.port, [get('/deadly')]), ['502'])
    assert.deepEqual(
      broken.map(({ requests }) => requests.length),
      [1, 1, 0],
    )
  })

  it('is never refused for that when it is the only one, since callers could bring it about', async () => {
    const only = await backend([resets, resets, resets, resets, resets, resets, resets, resets, OK])
    const { gateway } = await startPool([only.url])
    await statuses(gateway.port, [get('/1'), get('/2'), get('/3'), get('/4')])
    assert.deepEqual(await statuses(gateway.port, [get('/5')]), ['200'])
  })
})

describe('an origin that keeps silent', () => {
  it('is left out, and the request that waited for it is not sent again', async () => {
    const [silent, alive] = [await backend(() => undefined), await backend()]
    const { gateway } = await startPool([silent.url, alive.url], { upstream: { headersTimeout: 100 } })
    const requests = [get('/1'), get('/2'), get('/3'), get('/4'), get('/5'), get('/6'), get('/7'), get('/8')]
    assert.deepEqual(await statuses(gateway.port, requests), [
      ...['504', '200', '504', '200', '504', '200'],
      ...['200', '200'],
    ])
    assert.equal(silent.requests.length, 3)
  })
})

describe('an origin that is checked', () => {
  const healthCheck = { path: '/health?full=1', interval: 10, timeout: 10_000 }
  const BUSY = 'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'

  /** An application whose checks can be made to fail, and the requests that were none. */
  const checked = async () => {
    let isWell = true
    const seen: string[] = []
    const application = await backend((request, socket) => {
      const isCheck = request.requestLine === 'GET /health?full=1 HTTP/1.1'
      if (!isCheck) seen.push(request.requestLine)
      socket.write(isCheck && !isWell ? BUSY : OK)
    })
    const be = (well: boolean): void => {
      isWell = well
    }
    return { url: application.url, application, seen, be }
  }

  it('gets no requests while it says that it is not well, and all others get theirs', async () => {
    const [one, two] = [await checked(), await checked()]
    const world = await startPool([one.url, two.url], { upstream: { healthCheck } })
    const { gateway } = world
    one.be(false)
    await originsAre(world, [false, true])
    await statuses(gateway.port, [get('/1'), get('/2')])
    assert.deepEqual([one.seen.length, two.seen.length], [0, 2])
    one.be(true)
    await originsAre(world, [true, true])
    await statuses(gateway.port, [get('/3'), get('/4')])
    assert.deepEqual([one.seen.length, two.seen.length], [1, 3])
  })

  it('still gets requests when no other one is well either', async () => {
    const only = await checked()
    const world = await startPool([only.url], { upstream: { healthCheck } })
    const { gateway } = world
    only.be(false)
    await originsAre(world, [false])
    assert.deepEqual(await statuses(gateway.port, [get('/1')]), ['200'])
  })

  it('is asked with nothing of a caller, by a connection of its own each time', async () => {
    const only = await checked()
    await startPool([only.url], { upstream: { healthCheck, host: 'bank.internal' } })
    const [first, second] = [await only.application.request(0), await only.application.request(1)]
    assert.deepEqual(first.header('host'), ['bank.internal'])
    for (const name of ['sallyport-assertion', 'authorization', 'cookie'])
      assert.deepEqual(first.header(name), [])
    assert.notEqual(first.connection, second.connection)
  })

  it('that cannot be reached serves again when a check has reached it', async () => {
    const port = await closedPort()
    const world = await startPool([`http://127.0.0.1:${port}`], { upstream: { healthCheck } })
    const { gateway } = world
    await originsAre(world, [false])
    await backend(OK, { port })
    await originsAre(world, [true])
    assert.deepEqual(await statuses(gateway.port, [get('/1')]), ['200'])
  })

  it('is not asked any more when the upstream is closed', async () => {
    const silent = await backend(() => undefined)
    const { gateway } = await startPool([silent.url], { upstream: { healthCheck } })
    await silent.request(0)
    const [socket] = silent.connections
    const ended = new Promise((resolve) => socket?.on('close', resolve))
    await gateway.closeUpstream()
    await ended
    assert.equal(silent.requests.length, 1)
  })
})
