import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { systemClock } from '../../../src/core/clock.ts'
import { type Connection, createConnection } from '../../../src/gateway/accept/connection.ts'
import { openRaw, type RawConnection } from '../../support/raw-http.ts'

const HEAD = 'GET / HTTP/1.1\r\n\r\n'

interface Followed {
  readonly connection: Connection
  readonly caller: RawConnection
  /** How often its head was late. */
  readonly late: () => number
  /** Resolves once it was. */
  readonly isLate: Promise<void>
  /** Sends bytes, and resolves once they are there. */
  readonly send: (bytes: string) => Promise<void>
}

/** A connection that nothing else is done with: no server has a deadline for it. */
const follow = async (t: TestContext, headTimeoutMs: number): Promise<Followed> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  assert.ok(address !== null && typeof address === 'object')
  const accepted = once(server, 'connection')
  const caller = await openRaw(address.port)
  const [socket] = (await accepted) as [Socket]
  t.after(() => {
    caller.destroy()
    socket.destroy()
    server.close()
  })
  let late = 0
  let tellLate = (): void => undefined
  const isLate = new Promise<void>((resolve) => {
    tellLate = resolve
  })
  const connection = createConnection(socket, {
    clock: systemClock,
    maxHeadBytes: () => 1000,
    headTimeoutMs: () => headTimeoutMs,
    onHeadLate: (whose) => {
      assert.equal(whose, connection)
      late += 1
      tellLate()
    },
    onClose: () => undefined,
  })
  const send = async (bytes: string): Promise<void> => {
    const come = once(socket, 'data')
    caller.send(bytes)
    await come
  }
  return { connection, caller, late: () => late, isLate, send }
}

const readHead = ({ connection }: Followed): void => connection.headRead(0, () => true)

test('a head that does not come is late', async (t) => {
  const { isLate } = await follow(t, 20)
  await isLate
})

test('a head that does not end is late, whatever comes of it', async (t) => {
  const { isLate, send } = await follow(t, 200)
  await send('GET /')
  await send('x')
  await isLate
})

test('a later head that does not end is late', async (t) => {
  const followed = await follow(t, 1_000)
  await followed.send(HEAD)
  readHead(followed)
  assert.equal(followed.late(), 0)
  await followed.send('GET /')
  await followed.isLate
  assert.equal(followed.late(), 1)
})

test('a head that began in the same bytes as another ended is late', async (t) => {
  const followed = await follow(t, 100)
  await followed.send(`${HEAD}GET /`)
  readHead(followed)
  await followed.isLate
})

test('each head has the whole time, and between two of them there is none', async (t) => {
  const followed = await follow(t, 3_000)
  await followed.send(HEAD)
  readHead(followed)
  await wait(1_600)
  await followed.send('GET /')
  await wait(1_600)
  await followed.send(' HTTP/1.1\r\n\r\n')
  readHead(followed)
  await wait(3_400)
  assert.equal(followed.late(), 0)
})

test('nothing is late on a connection that is closed', async (t) => {
  const followed = await follow(t, 50)
  followed.connection.close()
  await wait(150)
  assert.equal(followed.late(), 0)
})

test('what has come while the process was held up is read before its head is late', async (t) => {
  const followed = await follow(t, 300)
  let read = false
  followed.connection.socket.once('data', () => {
    readHead(followed)
    read = true
  })
  followed.caller.send(HEAD)
  const until = performance.now() + 500
  while (performance.now() < until);
  while (!read) await new Promise((resolve) => setImmediate(resolve))
  await wait(400)
  assert.equal(followed.late(), 0)
})

test('empty lines are no head, and are not kept', async (t) => {
  const { connection, send, isLate } = await follow(t, 200)
  await send('\r\n'.repeat(1000))
  assert.equal(connection.capture.text(), '')
  assert.equal(connection.capture.isReading(), false)
  await isLate
})
