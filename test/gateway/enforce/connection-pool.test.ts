import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import type { Dispatcher } from 'undici'
import { type ConnectionPool, createConnectionPool } from '../../../src/gateway/enforce/connection-pool.ts'

interface Application {
  readonly origin: string
  /** Answers that have not been given; of `/now` there are none. */
  readonly open: { readonly path: string; readonly response: ServerResponse }[]
  readonly connections: () => number
  readonly mostConnections: () => number
  readonly asked: (count: number) => Promise<void>
}

const application = async (t: TestContext): Promise<Application> => {
  const open: Application['open'] = []
  let connections = 0
  let most = 0
  const server: Server = createServer((request, response) => {
    const path = request.url ?? ''
    if (path === '/now') response.end('now')
    else if (path === '/last') response.setHeader('connection', 'close').end('last')
    else if (path === '/cut') response.write('half', () => request.socket.resetAndDestroy())
    else open.push({ path, response })
    server.emit('asked')
  })
  server.on('connection', (socket) => {
    connections += 1
    most = Math.max(most, connections)
    socket.once('close', () => {
      connections -= 1
      server.emit('left')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    open,
    connections: () => connections,
    mostConnections: () => most,
    asked: async (count) => {
      while (open.length < count) await once(server, 'asked')
    },
  }
}

/** How often requests ended, all of them together. */
let ended = 0

/** Ends with the body, or the code of the error. */
const ask = (pool: ConnectionPool, path: string, headers: string[] = []): Promise<string> =>
  new Promise((resolve) => {
    let text = ''
    const end = (how: string): void => {
      ended += 1
      resolve(how)
    }
    const request: Dispatcher.DispatchOptions = { path, method: 'GET', headers }
    pool.dispatch(request, {
      onRequestStart: () => undefined,
      onResponseStart: () => undefined,
      onResponseData: (_controller, chunk) => {
        text += chunk.toString()
      },
      onResponseEnd: () => end(text),
      onResponseError: (_controller, error) => end(String(Reflect.get(error, 'code'))),
    })
  })

const poolFor = (t: TestContext, origin: string, maxConnections: number | null): ConnectionPool => {
  const pool = createConnectionPool(origin, maxConnections, {})
  t.after(() => pool.destroy())
  return pool
}

test('a request waits where there may be no more connections, and the first to wait is the first to go', async (t) => {
  const app = await application(t)
  const pool = poolFor(t, app.origin, 2)
  const answers = ['/1', '/2', '/3', '/4'].map((path) => ask(pool, path))
  await app.asked(2)
  app.open[0]?.response.end('one')
  await app.asked(3)
  assert.deepEqual(
    app.open.map(({ path }) => path),
    ['/1', '/2', '/3'],
  )
  app.open[1]?.response.end('two')
  await app.asked(4)
  for (const { response } of app.open.slice(2)) response.end('more')
  assert.deepEqual(await Promise.all(answers), ['one', 'two', 'more', 'more'])
  assert.equal(app.mostConnections(), 2)
})

test('requests one after the other use the same connections, while others are busy', async (t) => {
  const app = await application(t)
  const pool = poolFor(t, app.origin, null)
  const slow = Array.from({ length: 20 }, () => ask(pool, '/slow'))
  await app.asked(20)
  for (let number = 0; number < 30; number += 1) assert.equal(await ask(pool, '/now'), 'now')
  // A connection is free a moment after the end of its answer.
  assert.ok(app.mostConnections() <= 22, `${app.mostConnections()} connections`)
  for (const { response } of app.open) response.end('late')
  assert.deepEqual(new Set(await Promise.all(slow)), new Set(['late']))
})

test('what cannot be sent does not take a connection from the others', async (t) => {
  const app = await application(t)
  const pool = poolFor(t, app.origin, 1)
  for (let number = 0; number < 3; number += 1)
    assert.equal(await ask(pool, '/now', ['name', 'a\nb']), 'UND_ERR_INVALID_ARG')
  const busy = ask(pool, '/slow')
  const bad = ask(pool, '/now', ['name', 'a\nb'])
  const good = ask(pool, '/now')
  await app.asked(1)
  app.open[0]?.response.end('slow')
  assert.deepEqual(await Promise.all([busy, bad, good]), ['slow', 'UND_ERR_INVALID_ARG', 'now'])
})

test('an origin that cannot be reached is told to each that asks and waits for it, again and again', async (t) => {
  const app = await application(t)
  const free = createServer().listen(0, '127.0.0.1')
  await once(free, 'listening')
  const { port } = free.address() as AddressInfo
  await new Promise((resolve) => free.close(resolve))
  const pool = poolFor(t, `http://127.0.0.1:${port}`, 1)
  for (let round = 0; round < 3; round += 1) {
    const answers = await Promise.all(['/1', '/2', '/3'].map((path) => ask(pool, path)))
    assert.deepEqual(answers, ['ECONNREFUSED', 'ECONNREFUSED', 'ECONNREFUSED'])
  }
  assert.equal(app.connections(), 0)
})

test('a pool that closes serves those that wait, and no others', async (t) => {
  const app = await application(t)
  const pool = poolFor(t, app.origin, 1)
  const answers = ['/1', '/2'].map((path) => ask(pool, path))
  await app.asked(1)
  const closed = pool.close()
  assert.equal(await ask(pool, '/now'), 'UND_ERR_DESTROYED')
  app.open[0]?.response.end('one')
  await app.asked(2)
  app.open[1]?.response.end('two')
  assert.deepEqual(await Promise.all(answers), ['one', 'two'])
  await closed
})

test('a pool that is destroyed cuts what is under way and what waits, and has then closed', async (t) => {
  const app = await application(t)
  const pool = poolFor(t, app.origin, 1)
  const answers = ['/1', '/2'].map((path) => ask(pool, path))
  await app.asked(1)
  const closed = pool.close()
  await pool.destroy()
  await closed
  assert.deepEqual(await Promise.all(answers), ['UND_ERR_DESTROYED', 'UND_ERR_DESTROYED'])
  assert.equal(await ask(pool, '/now'), 'UND_ERR_DESTROYED')
})

test('each request ends once, however connections end, and all of them remain usable', async (t) => {
  const app = await application(t)
  const ends = {
    '/now': 'now',
    '/last': 'last',
    '/cut': 'UND_ERR_SOCKET',
    '/bad path': 'UND_ERR_INVALID_ARG',
  }
  const path = fc.constantFrom(...Object.keys(ends))
  await fc.assert(
    fc.asyncProperty(
      fc.array(path, { maxLength: 40 }),
      fc.integer({ min: 1, max: 4 }),
      async (paths, max) => {
        const pool = createConnectionPool(app.origin, max, {})
        const endedBefore = ended
        const answers = await Promise.all(paths.map((one) => ask(pool, one)))
        for (const [at, one] of paths.entries()) {
          const expected =
            one === '/cut'
              ? /^(?:ECONNRESET|UND_ERR_SOCKET|half)$/
              : new RegExp(`^${Reflect.get(ends, one)}$`)
          assert.match(answers[at] ?? '', expected)
        }
        const after = await Promise.all(Array.from({ length: max }, () => ask(pool, '/now')))
        assert.deepEqual(new Set(after), new Set(['now']))
        await pool.close()
        assert.equal(ended - endedBefore, paths.length + max)
      },
    ),
    { numRuns: 60 },
  )
  assert.ok(app.mostConnections() > 1)
})

const unasked = (): never => assert.fail('it was not sent')

/** A request that its sender gives up when there is a connection. */
const giveUp = (pool: ConnectionPool): Promise<void> =>
  new Promise((resolve) => {
    pool.dispatch(
      { path: '/given-up', method: 'GET' },
      {
        onConnect: () => {
          throw new Error('given up')
        },
        onHeaders: unasked,
        onData: unasked,
        onComplete: unasked,
        onError: (error) => {
          assert.equal(error.message, 'given up')
          resolve()
        },
      },
    )
  })

for (const isUsed of [false, true]) {
  test(`a request that was given up leaves its connection, ${isUsed ? 'used' : 'not used'} before, to one request at a time`, async (t) => {
    const app = await application(t)
    const pool = poolFor(t, app.origin, null)
    if (isUsed) assert.equal(await ask(pool, '/now'), 'now')
    await giveUp(pool)
    await new Promise((resolve) => setImmediate(resolve))
    const again = giveUp(pool)
    const slow = ask(pool, '/slow')
    await again
    await app.asked(1)
    assert.equal(await ask(pool, '/now'), 'now')
    app.open[0]?.response.end('slow')
    assert.equal(await slow, 'slow')
    assert.equal(app.connections(), 2)
  })
}
