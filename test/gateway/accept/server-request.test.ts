import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type TestContext, test } from 'node:test'
import { ServerRequest } from '../../../src/gateway/accept/server-request.ts'
import { openRaw, type RawConnection } from '../../support/raw-http.ts'

type Answer = (request: IncomingMessage, response: ServerResponse) => void

const GET = 'GET /a HTTP/1.1\r\nHost: a\r\n\r\n'
const EMPTY_POST = 'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n'
const EMPTY_CHUNKED = 'POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'
const POST = 'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello'

const start = async (t: TestContext, answer: Answer): Promise<number> => {
  const server = createServer({ IncomingMessage: ServerRequest, requireHostHeader: false }, answer)
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

const READERS: Readonly<Record<string, (request: IncomingMessage) => Promise<string>>> = {
  'an iterator': async (request) => {
    const chunks: string[] = []
    for await (const chunk of request) chunks.push(String(chunk))
    return chunks.join('')
  },
  'listeners, at once': (request) => readByListeners(request),
  'listeners, when all has come': async (request) => {
    await new Promise((resolve) => setImmediate(resolve))
    return readByListeners(request)
  },
  'an end that is waited for, and a resume': async (request) => {
    await new Promise((resolve) => setImmediate(resolve))
    request.resume()
    await once(request, 'end')
    return ''
  },
}

const readByListeners = async (request: IncomingMessage): Promise<string> => {
  let text = ''
  request.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  await once(request, 'end')
  return text
}

for (const [name, read] of Object.entries(READERS)) {
  test(`what came without content ends for ${name}`, async (t) => {
    const port = await start(t, (request, response) => {
      void read(request).then((text) => response.end(`<${text}>`))
    })
    const connection = await openRaw(port)
    t.after(connection.destroy)
    for (const sent of [GET, EMPTY_POST, EMPTY_CHUNKED]) {
      connection.send(sent)
      assert.equal((await connection.response()).body.toString(), '<>', sent)
    }
  })
}

test('content is read whole, and is not taken for the next request where nobody reads it', async (t) => {
  const port = await start(t, (request, response) => {
    if (request.url === '/unread') response.end('unread')
    else void readByListeners(request).then((text) => response.end(text))
  })
  const connection = await openRaw(port)
  t.after(connection.destroy)
  for (const sent of [POST, POST.replace('/a', '/unread'), POST, GET, POST]) {
    connection.send(sent)
    const expected = sent === GET ? '' : sent.includes('/unread') ? 'unread' : 'hello'
    assert.equal((await connection.response()).body.toString(), expected)
  }
})

for (const [name, sent] of Object.entries({ GET, EMPTY_POST, EMPTY_CHUNKED, POST })) {
  test(`an idle connection holds no request once its answer has gone: ${name}`, async (t) => {
    let parser: unknown = null
    const port = await start(t, ({ socket }, response) => {
      parser = Reflect.get(socket, 'parser')
      response.end('ok')
    })
    const connection = await openRaw(port)
    t.after(connection.destroy)
    for (let index = 0; index < 2; index += 1) {
      connection.send(sent)
      await connection.response()
      // Node lets go of it in the ticks that follow the write.
      await new Promise((resolve) => setImmediate(resolve))
      assert.ok(typeof parser === 'object' && parser !== null)
      assert.equal(Reflect.get(parser, 'incoming'), null)
    }
  })
}

test('pipelined requests without content are answered in order', async (t) => {
  const port = await start(t, (request, response) => {
    setImmediate(() => response.end(request.url))
  })
  const connection = await openRaw(port)
  t.after(connection.destroy)
  connection.send(['/1', '/2', '/3', '/4'].map((path) => GET.replace('/a', path)).join(''))
  for (const path of ['/1', '/2', '/3', '/4'])
    assert.equal((await connection.response()).body.toString(), path)
})

test('a request under way is told that its caller has gone', async (t) => {
  let connection: RawConnection | null = null
  const ended = new Promise<unknown>((resolve) => {
    const answer: Answer = (request) => {
      request.on('error', () => undefined)
      request.on('close', resolve)
      connection?.destroy()
    }
    void start(t, answer).then(async (port) => {
      connection = await openRaw(port)
      connection.send(GET)
    })
  })
  await ended
})
