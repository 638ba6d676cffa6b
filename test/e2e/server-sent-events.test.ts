import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import { Agent, EventSource } from 'undici'
import { startHttpBackend } from '../support/backend.ts'
import { startTestGateway } from '../support/gateway.ts'
import { buildCity, HOST, tokenOf } from './city.ts'

/** An EventSource as it is, on connections to the gateway, with what a caller there has. */
const agentFor = (port: number, token: string): Agent =>
  new Agent({ connect: { timeout: 20_000 } }).compose((dispatch) => (options, handler) => {
    const { host: _given, ...headers } = { ...(options.headers as Record<string, string>) }
    return dispatch(
      {
        ...options,
        origin: `http://127.0.0.1:${port}`,
        headers: { ...headers, host: HOST, authorization: `Bearer ${token}` },
      },
      handler,
    )
  }) as unknown as Agent

test('an EventSource gets each event when it is sent, and goes on after a break where it was', async (t) => {
  const streams: ServerResponse[] = []
  const lastIds: (string | undefined)[] = []
  const backend = await startHttpBackend((request, response) => {
    lastIds.push(request.headers['last-event-id']?.toString())
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write('retry: 10\n\n')
    streams.push(response)
  })
  t.after(() => backend.close())
  const city = await buildCity({ upstream: backend.url })
  const gateway = await startTestGateway(city.world, { env: city.env })
  t.after(() => gateway.close())
  const dispatcher = agentFor(gateway.port, tokenOf(city, 'alice'))
  const source = new EventSource(`http://${HOST}/accounts/1`, { dispatcher })
  t.after(() => source.close())

  await once(source, 'open')
  for (const number of [1, 2, 3]) {
    const arrived = once(source, 'message')
    streams[0]?.write(`id: ${number}\ndata: event ${number}\n\n`)
    const [event] = await arrived
    assert.equal(event.data, `event ${number}`)
  }
  assert.equal(streams.length, 1)

  const reopened = once(source, 'open')
  streams[0]?.end()
  await reopened
  const arrived = once(source, 'message')
  streams[1]?.write('id: 4\ndata: event 4\n\n')
  const [event] = await arrived
  assert.equal(event.data, 'event 4')
  assert.deepEqual(lastIds, [undefined, '3'])
  assert.deepEqual(
    gateway
      .records()
      .filter(({ stream }) => stream === undefined)
      .map(({ code, source: by }) => [code, by]),
    [
      ['allowed', 'engine'],
      ['allowed', 'grant'],
    ],
  )
})
