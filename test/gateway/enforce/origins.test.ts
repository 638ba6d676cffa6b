import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import type { Log } from '../../../src/core/log.ts'
import { closedPort, OK, type RawAnswer, type RawBackend, startRawBackend } from '../../support/backend.ts'
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
}

const startPool = async (urls: readonly string[], options: GatewayOptions = {}): Promise<World> => {
  const clock = manualClock()
  const messages: string[] = []
  const note = (_fields: object, message: string): void => {
    messages.push(message)
  }
  const log: Log = { debug: () => undefined, info: note, warn: note, error: note }
  const upstream = { ...options.upstream, url: undefined, urls: [...urls] }
  const gateway = await startGateway('', { ...options, clock, upstream, enforce: { log } })
  closers.push(gateway.close)
  return { gateway, clock, messages }
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
