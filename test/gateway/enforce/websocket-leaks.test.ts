import assert from 'node:assert/strict'
import { connect, createServer, type Socket } from 'node:net'
import { describe, it } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { frame, handshake, SWITCH } from '../../support/websocket.ts'
import { startGateway } from './harness.ts'

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

const OPENS = 10_000
const AT_ONCE = 50
const HELLO = frame(1, 'hello')

/** How a connection ends, in turn: by either side, and gently or not. */
const ENDS: readonly ((caller: Socket, application: Socket) => void)[] = [
  (caller) => caller.end(),
  (caller) => caller.resetAndDestroy(),
  (caller) => caller.destroy(),
  (_caller, application) => application.end(),
  (_caller, application) => application.resetAndDestroy(),
  (_caller, application) => application.destroy(),
]

const closed = (socket: Socket): Promise<void> =>
  socket.closed ? Promise.resolve() : new Promise((resolve) => socket.once('close', () => resolve()))

/** An application that switches at once and echoes; each of its sockets is asked for by what it was sent first. */
const startEcho = async () => {
  const sockets = new Map<string, Socket>()
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    socket.once('data', (head) => {
      sockets.set(/^GET (\S+)/.exec(head.toString('latin1'))?.[1] ?? '', socket)
      socket.write(SWITCH)
      socket.on('data', (chunk) => socket.write(chunk))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return {
    url: `http://127.0.0.1:${address.port}`,
    take: (target: string): Socket => {
      const socket = sockets.get(target)
      assert.ok(socket !== undefined)
      sockets.delete(target)
      return socket
    },
    close: () => new Promise((resolve) => server.close(resolve)),
  }
}

const openAndClose = async (port: number, application: (target: string) => Socket, number: number) => {
  const caller = connect(port, '127.0.0.1')
  caller.on('error', () => undefined)
  let text = ''
  await new Promise<void>((resolve) => {
    caller.on('data', (chunk) => {
      const before = text.length
      text += chunk.toString('latin1')
      if (text.endsWith('hello')) resolve()
      else if (before === 0) caller.write(HELLO)
    })
    caller.write(handshake(`/${number}`))
  })
  const other = application(`/${number}`)
  ENDS[number % ENDS.length]?.(caller, other)
  await Promise.all([closed(caller), closed(other)])
}

const openAndCloseMany = async (
  port: number,
  application: (target: string) => Socket,
  from: number,
  to: number,
) => {
  let next = from
  const work = async (): Promise<void> => {
    for (let number = next++; number < to; number = next++) await openAndClose(port, application, number)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
}

/** What is left once all has been said: sockets of both servers and both clients are in this process. */
const sockets = (): number =>
  process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length
const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length

const heapBytes = async (): Promise<number> => {
  for (let round = 0; round < 3; round += 1) {
    await new Promise((resolve) => setImmediate(resolve))
    collectGarbage()
  }
  return process.memoryUsage().heapUsed
}

describe('10,000 WebSockets that were opened and closed', () => {
  it('leave no socket, no timer and no memory behind, whoever ended them and how', async () => {
    const echo = await startEcho()
    const gateway = await startGateway(echo.url, { limits: { connections: 1000 } })
    // Caches of Node and of the pools fill up first.
    await openAndCloseMany(gateway.port, echo.take, 0, OPENS / 5)
    const before = { heap: await heapBytes(), sockets: sockets(), timers: timers() }
    await openAndCloseMany(gateway.port, echo.take, OPENS / 5, OPENS)
    const grown = (await heapBytes()) - before.heap
    assert.deepEqual(
      { sockets: sockets(), timers: timers() },
      { sockets: before.sockets, timers: before.timers },
    )
    assert.equal(before.sockets, 0)
    // A kept socket alone is more than a kilobyte, so that a leak of one in eight would be seen.
    assert.ok(grown < 2 << 20, `the heap has grown by ${grown} bytes`)
    assert.equal(gateway.outcomes.length, OPENS)
    assert.deepEqual(new Set(gateway.outcomes), new Set(['done']))
    await gateway.close()
    await echo.close()
  })
})
