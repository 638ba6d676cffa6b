import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createListener } from '../../../src/gateway/accept/listener.ts'
import { closedPort } from '../../support/backend.ts'
import { openRaw } from '../../support/raw-http.ts'
import { answerOk, fixedClock, LIMITS, silentLog, startListener } from './support.ts'

const GET = 'GET /a HTTP/1.1\r\nHost: a\r\n\r\n'

const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}

test('closing ends idle connections at once, also those that never asked anything', async () => {
  const { port, listener } = await startListener()
  const fresh = await openRaw(port)
  const used = await openRaw(port)
  used.send(GET)
  await used.response()
  await listener.close(60_000)
  await fresh.closed()
  await used.closed()
})

test('closing lets requests in flight finish, tells their callers, and takes no others', async () => {
  const { port, listener, exchanges } = await startListener(() => undefined)
  const connection = await openRaw(port)
  connection.send(GET)
  const streaming = await openRaw(port)
  streaming.send(GET)
  await until(() => exchanges.length === 2)
  const [first, second] = exchanges
  assert.ok(first && second)
  second.reply.head(200, 'OK', [])
  const closed = listener.close(60_000)
  await assert.rejects(openRaw(port))
  connection.send(GET)
  answerOk(first)
  const response = await connection.response()
  assert.deepEqual(response.header('connection'), ['close'])
  assert.equal(await connection.closed(), 'end')
  second.reply.end('done')
  assert.equal((await streaming.response()).body.toString(), 'done')
  connection.destroy()
  streaming.destroy()
  await closed
  assert.equal(exchanges.length, 2)
})

test('closing serves a request whose head is on its way', async () => {
  const { port, listener } = await startListener()
  const connection = await openRaw(port)
  connection.send(GET.slice(0, 20))
  await new Promise((resolve) => setTimeout(resolve, 50))
  const closed = listener.close(60_000)
  connection.send(GET.slice(20))
  assert.equal((await connection.response()).status, 200)
  assert.equal(await connection.closed(), 'end')
  connection.destroy()
  await closed
})

test('closing cuts what does not finish in time', async () => {
  const { port, listener, exchanges } = await startListener(() => undefined)
  const connection = await openRaw(port)
  connection.send(GET)
  await until(() => exchanges.length === 1)
  await listener.close(20)
  await connection.closed()
  await until(() => exchanges[0]?.signal().aborted === true)
})

test('an address that is taken is a rejection of listen', async (t) => {
  const port = await closedPort()
  const deps = {
    config: { bind: `127.0.0.1:${port}` },
    limits: LIMITS,
    clock: fixedClock,
    log: silentLog,
    onExchange: answerOk,
    onParserRefusal: () => undefined,
  }
  const first = createListener(deps)
  assert.equal(await first.listen(), `127.0.0.1:${port}`)
  t.after(() => first.close(0))
  await assert.rejects(createListener(deps).listen(), { code: 'EADDRINUSE' })
})
