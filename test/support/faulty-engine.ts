import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

type Fault = (response: ServerResponse, url: string) => void

const json =
  (text: string, status = 200): Fault =>
  (response) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(text)

const drip: Fault = (response) => {
  response.writeHead(200, { 'content-type': 'application/json' })
  const timer = setInterval(() => response.write(' '), 20)
  response.on('close', () => clearInterval(timer))
}

const flood: Fault = (response) => {
  response.writeHead(200, { 'content-type': 'application/json' })
  const chunk = Buffer.alloc(1024 * 1024, ' ')
  let left = 50
  const more = (): void => {
    while (left > 0) {
      left -= 1
      if (!response.write(chunk)) {
        response.once('drain', more)
        return
      }
    }
    response.end('{"result":true,"decision":true}')
  }
  response.on('error', () => undefined)
  more()
}

/** What an engine can do wrong that a real one cannot be made to do. */
export const FAULTS: Readonly<Record<string, Fault>> = {
  'answers 500': json('{"message":"broken"}', 500),
  'answers HTML': (response) =>
    response.writeHead(200, { 'content-type': 'text/html' }).end('<html>{"decision":true}</html>'),
  'answers "true"': json('"true"'),
  'answers true alone': json('true'),
  'answers {}': json('{}'),
  'answers {"decision":"true"} and {"result":"true"}': json('{"decision":"true","result":"true"}'),
  'answers what has two decisions': json('{"decision":false,"result":false,"decision":true,"result":true}'),
  'answers half of its JSON': json('{"result":true,"decision":true'),
  'answers 201': json('{"result":true,"decision":true}', 201),
  'answers JSON that is called text': (response) =>
    response.writeHead(200, { 'content-type': 'text/plain' }).end('{"result":true,"decision":true}'),
  'answers bytes that are not UTF-8': (response) =>
    response
      .writeHead(200, { 'content-type': 'application/json' })
      .end(Buffer.from('{"result":true,"decision":true,"x":"\xff"}', 'latin1')),
  'answers 50 MB': flood,
  redirects: (response, url) => response.writeHead(307, { location: `/elsewhere${url}` }).end(),
  'never answers': () => undefined,
  'drips its answer': drip,
  'closes the connection': (response) => response.destroy(),
}

export interface FaultyEngine {
  readonly url: string
  readonly set: (fault: Fault) => void
  /** Paths that it was asked at. */
  readonly asked: readonly string[]
  readonly close: () => Promise<void>
}

/** An engine that does as it is told; `fine` answers every question of OPA and AuthZEN with an allow. */
export const startFaultyEngine = async (): Promise<FaultyEngine> => {
  let current: Fault = fine
  const asked: string[] = []
  const server = createServer((request, response) => {
    const { url = '' } = request
    // What is asked in the background is answered well, so that each fault is met by a caller.
    const isProbe = request.method === 'GET'
    if (!isProbe) asked.push(url)
    request.resume()
    request.on('end', () => (isProbe || url.startsWith('/elsewhere') ? fine : current)(response, url))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // An address object is certain here: the server listens on TCP.
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    set: (fault) => {
      current = fault
    },
    asked,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

export const fine: Fault = json('{"provenance":{"version":"1"},"result":true,"decision":true}')
