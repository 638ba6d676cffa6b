import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Exchange, Reply } from '../../../src/core/exchange.ts'
import { openRaw, rawRequest } from '../../support/raw-http.ts'
import { startListener } from './support.ts'

const GET = 'GET /a HTTP/1.1\r\nHost: a\r\n\r\n'

interface Piece {
  readonly bytes: Buffer
  /** After what has been given so far may have gone out. */
  readonly later: boolean
}

const piece: fc.Arbitrary<Piece> = fc.record({
  // Below, at and above what goes out with the head.
  bytes: fc
    .tuple(fc.constantFrom(0, 1, 200, 16_384, 16_385, 70_000), fc.nat(255))
    .map(([length, start]) => Buffer.from(Array.from({ length }, (_, index) => (start + index) % 256))),
  later: fc.boolean(),
})

interface Plan {
  readonly pieces: readonly Piece[]
  readonly last: Buffer | null
  readonly sized: boolean
  readonly endsLater: boolean
}

const plan: fc.Arbitrary<Plan> = fc.record({
  pieces: fc.array(piece, { maxLength: 4 }),
  last: fc.option(piece.map(({ bytes }) => bytes)),
  sized: fc.boolean(),
  endsLater: fc.boolean(),
})

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const give = async (to: Reply, { pieces, last, sized, endsLater }: Plan): Promise<Buffer> => {
  const whole = Buffer.concat([...pieces.map(({ bytes }) => bytes), last ?? Buffer.alloc(0)])
  to.head(200, 'OK', sized ? ['Content-Length', String(whole.length)] : [])
  for (const { bytes, later } of pieces) {
    if (later) await nextTurn()
    to.write(bytes)
  }
  if (endsLater) await nextTurn()
  to.end(last ?? undefined)
  return whole
}

test('a reply arrives byte for byte, in whatever pieces and turns it was given', async (t) => {
  let answer: (exchange: Exchange) => void = () => undefined
  const { port, listener } = await startListener((exchange) => answer(exchange))
  t.after(() => listener.close(0))
  await fc.assert(
    fc.asyncProperty(plan, async (planned) => {
      const given = new Promise<Buffer>((resolve, reject) => {
        answer = ({ reply }) => void give(reply, planned).then(resolve, reject)
      })
      const response = await rawRequest(port, GET)
      assert.equal(response.status, 200)
      assert.deepEqual(response.body, await given)
    }),
    { numRuns: 150 },
  )
})

test('replies to pipelined requests stay apart and in order', async (t) => {
  const { port, listener } = await startListener(({ head, reply }) => {
    const text = Buffer.from(`answer to ${head.target}`)
    reply.head(200, 'OK', ['Content-Length', String(text.length)])
    // The first one is ready last.
    if (head.target === '/1') setImmediate(() => setImmediate(() => reply.end(text)))
    else {
      reply.write(text)
      reply.end()
    }
  })
  t.after(() => listener.close(0))
  const connection = await openRaw(port)
  t.after(connection.destroy)
  connection.send(['/1', '/2', '/3'].map((path) => GET.replace('/a', path)).join(''))
  for (const path of ['/1', '/2', '/3']) {
    const { body } = await connection.response()
    assert.equal(body.toString(), `answer to ${path}`)
  }
})

test('a head goes out although no content comes, and so does a first piece', async (t) => {
  const replies: Reply[] = []
  const { port, listener } = await startListener(({ reply }) => {
    replies.push(reply)
    reply.head(200, 'OK', ['Content-Type', 'text/event-stream', 'Content-Length', '4'])
  })
  t.after(() => listener.close(0))
  const connection = await openRaw(port)
  t.after(connection.destroy)
  connection.send(GET)
  await connection.received((text) => text.includes('\r\n\r\n'))
  replies[0]?.write(Buffer.from('ab'))
  await connection.received((text) => text.endsWith('\r\n\r\nab'))
  replies[0]?.end(Buffer.from('cd'))
  assert.equal((await connection.response()).body.toString(), 'abcd')
})

test('a first piece that waits with the head goes out when more takes its time', async (t) => {
  const { port, listener } = await startListener(({ reply }) => {
    reply.head(200, 'OK', ['Content-Length', '4'])
    reply.write(Buffer.from('ab'))
  })
  t.after(() => listener.close(0))
  const connection = await openRaw(port)
  t.after(connection.destroy)
  connection.send(GET)
  await connection.received((text) => text.endsWith('\r\n\r\nab'))
})

const wholeAtOnce =
  (headers: readonly string[]) =>
  ({ reply }: Exchange): void => {
    reply.head(200, 'OK', headers)
    reply.write(Buffer.from('ab'))
    reply.end()
  }

test('an answer that is there at once says where it ends, by its length or by chunks', async (t) => {
  for (const headers of [['Content-Length', '2'], []]) {
    const { port, listener } = await startListener(wholeAtOnce(headers))
    t.after(() => listener.close(0))
    const connection = await openRaw(port)
    t.after(connection.destroy)
    for (let index = 0; index < 2; index += 1) {
      connection.send(GET)
      const { body, header } = await connection.response()
      assert.equal(body.toString(), 'ab')
      assert.deepEqual(header('transfer-encoding'), headers.length === 0 ? ['chunked'] : [])
    }
  }
})

test('an answer of unknown length to an HTTP/1.0 caller is its content up to the end of the connection', async (t) => {
  const { port, listener } = await startListener(wholeAtOnce([]))
  t.after(() => listener.close(0))
  const connection = await openRaw(port)
  connection.send(GET.replace('1.1', '1.0'))
  assert.equal(await connection.closed(), 'end')
  const text = connection.bytes().toString('latin1')
  assert.doesNotMatch(text, /transfer-encoding|keep-alive/i)
  assert.ok(text.endsWith('\r\n\r\nab'), text)
})

test('an answer to HEAD has no content, whatever was given, and the next answer follows it', async (t) => {
  const { port, listener } = await startListener(wholeAtOnce(['Content-Length', '2']))
  t.after(() => listener.close(0))
  const connection = await openRaw(port)
  t.after(connection.destroy)
  connection.send(GET.replace('GET', 'HEAD'))
  assert.equal((await connection.response({ head: true })).body.length, 0)
  connection.send(GET)
  assert.equal((await connection.response()).body.toString(), 'ab')
})

test('a reply that is cut in the turn in which it began sends nothing that looks complete', async (t) => {
  const { port, listener } = await startListener(({ reply }) => {
    reply.head(200, 'OK', ['Content-Length', '2'])
    reply.write(Buffer.from('ab'))
    reply.abort()
  })
  t.after(() => listener.close(0))
  const connection = await openRaw(port)
  connection.send(GET)
  assert.equal(await connection.closed(), 'reset')
  assert.equal(connection.bytes().length, 0)
})
