import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createServer, type RequestListener } from 'node:http'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { closeServer, listenLocally } from '../../src/demo/local-server.ts'
import { repositoryRoot } from '../house/source-files.ts'

const health = (url: string): Promise<{ readonly code: number | null; readonly said: string }> => {
  const child = spawn(process.execPath, [join(repositoryRoot, 'bin', 'sallyport'), 'health', '--url', url], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text) => {
    said += text
  })
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, said })))
}

const whileAnswering = async (
  answer: RequestListener,
  use: (url: string) => Promise<void>,
): Promise<void> => {
  const server = createServer(answer)
  try {
    await use(`${await listenLocally(server, 0)}/healthz`)
  } finally {
    server.closeAllConnections()
    await closeServer(server)
  }
}

describe('sallyport health', () => {
  test('exits 0 when the answer is 200', async () => {
    await whileAnswering(
      (request, response) => response.writeHead(request.url === '/healthz' ? 200 : 404).end('{}'),
      async (url) => assert.deepEqual(await health(url), { code: 0, said: '' }),
    )
  })

  const notWell: Readonly<Record<string, RequestListener>> = {
    'it is not ready': (_request, response) => response.writeHead(503).end(),
    'it is sent elsewhere': (_request, response) => response.writeHead(302, { location: '/' }).end(),
    'the connection is cut': (request) => request.socket.destroy(),
    'no answer comes': () => undefined,
  }
  for (const [name, answer] of Object.entries(notWell)) {
    test(`exits 1 and says why when ${name}`, async () => {
      await whileAnswering(answer, async (url) => {
        const { code, said } = await health(url)
        assert.equal(code, 1)
        assert.notEqual(said, '')
      })
    })
  }

  test('exits 1 when nothing listens', async () => {
    const server = createServer()
    const url = await listenLocally(server, 0)
    await closeServer(server)
    assert.equal((await health(url)).code, 1)
  })

  test('exits 2 when it cannot be asked at all', async () => {
    assert.equal((await health('localhost:9901')).code, 2)
    assert.equal((await health('nonsense')).code, 2)
  })
})
