import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { WebSocket } from 'ws'
import { type Bank, startBank } from '../../src/demo/bank.ts'

describe("the bank's desk", () => {
  let bank: Bank
  before(async () => {
    bank = await startBank()
  })
  after(() => bank.close())

  const open = (headers: Readonly<Record<string, string>>): WebSocket =>
    new WebSocket(`${bank.url.replace('http:', 'ws:')}/desk`, { headers, perMessageDeflate: false })

  const next = async (socket: WebSocket): Promise<string> => String((await once(socket, 'message'))[0])

  test('greets whoever X-Remote-User says, and repeats what it is told', async () => {
    const socket = open({ 'X-Remote-User': 'alice' })
    assert.equal(await next(socket), 'Good day alice, this is the desk.')
    for (const text of ['hello', '', 'ü'.repeat(200), 'x'.repeat(60_000)]) {
      socket.send(text)
      assert.equal(await next(socket), text)
    }
    socket.ping('are you there')
    assert.equal(String((await once(socket, 'pong'))[0]), 'are you there')
    socket.close(1000)
    const [code] = await once(socket, 'close')
    assert.equal(code, 1000)
  })

  test('ends what it does not take', async () => {
    const socket = open({ 'X-Remote-User': 'alice' })
    await next(socket)
    socket.send(Buffer.from('bytes'))
    const [code] = await once(socket, 'close')
    assert.equal(code, 1003)
  })

  test('wants to be told who it is', async () => {
    const [error] = await once(open({}), 'error')
    assert.ok(error instanceof Error)
    assert.match(error.message, /404/)
  })
})
