import { createServer, get as httpGet, request as httpRequest, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { TestContext } from 'node:test'
import WebSocket, { WebSocketServer } from 'ws'
import { type LoggedRecord, startTestGateway, type TestGateway, type World } from '../support/gateway.ts'
import { jwksOf, makeKey } from '../support/tokens.ts'
import { policy } from './live-world.ts'

/** What an application does that has something to say for long. */
export interface Application {
  readonly url: string
  /** Text that WebSockets have brought. */
  readonly messages: readonly string[]
  /** Uploads that were cut before their end. */
  readonly cutUploads: () => number
  readonly uploadedBytes: () => number
  readonly close: () => Promise<void>
}

export const startApplication = async (): Promise<Application> => {
  const messages: string[] = []
  let cutUploads = 0
  let uploadedBytes = 0
  const server = createServer((request, response) => {
    const [, what, id = ''] = (request.url ?? '').split('/')
    if (what === 'done') {
      response.writeHead(200, { 'sallyport-task-complete': id }).end('done')
      return
    }
    const isEvents = what === 'events'
    if (what === 'upload') {
      request.on('data', (chunk: Buffer) => {
        uploadedBytes += chunk.length
      })
      request.on('error', () => {
        cutUploads += 1
      })
      request.on('end', () => response.end('taken'))
      return
    }
    const fields: Readonly<Record<string, string>> = isEvents
      ? { 'content-type': 'text/event-stream' }
      : what === 'sized'
        ? { 'content-length': String(1 << 30) }
        : {}
    response.writeHead(200, fields)
    const timer = setInterval(() => response.write(isEvents ? 'data: tick\n\n' : Buffer.alloc(1000, 'x')), 10)
    response.once('close', () => clearInterval(timer))
  })
  const sockets = new WebSocketServer({ server })
  sockets.on('connection', (socket) => {
    socket.on('error', () => undefined)
    socket.on('message', (data) => {
      messages.push(String(data))
      socket.send(`echo ${String(data)}`)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // An address object is certain here: the server listens on TCP.
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    messages,
    cutUploads: () => cutUploads,
    uploadedBytes: () => uploadedBytes,
    close: () =>
      new Promise<void>((resolve) => {
        for (const socket of sockets.clients) socket.terminate()
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

const ISSUER = 'https://idp.test'
const KEY = makeKey('k')

/** A token of some subject, by default good for an hour. */
export const tokenOf = async (
  sub: string,
  claims: Readonly<Record<string, unknown>> = {},
): Promise<string> => {
  const nowSeconds = Math.floor(Date.now() / 1000)
  const rest = { iat: nowSeconds, exp: nowSeconds + 3600, ...claims }
  return (await KEY).sign({ iss: ISSUER, aud: 'app', sub, jti: `token-of-${sub}`, ...rest })
}

const evaluation = 'evaluation: { action: read, resource: { type: Thing, id: $path.id } }'

/** Routes for every kind of stream; `more` goes to each of them. */
export const streamRoutes = (more = 'stream: { recheck: 1s }'): string => `owner: team
defaults: { upstream: app, engine: main, authenticate: [staff], grant: { ttl: 1h } }
routes:
${['ws', 'events', 'download', 'sized']
  .map((name) => `  - { name: ${name}, match: "GET /${name}/{id}", ${evaluation}, ${more} }`)
  .join('\n')}
  - { name: upload, match: "POST /upload/{id}", ${evaluation}, ${more} }
  - { name: open, match: "GET /open/{id}", access: public }
`

export const streamWorld = async (
  url: string,
  changes: { readonly routes?: string; readonly more?: string } = {},
): Promise<World> => ({
  'config/sallyport.yaml': `version: 1
listeners: [{ bind: "127.0.0.1:0" }]
admin: { bind: "127.0.0.1:0", token: { env: ADMIN_TOKEN } }
authenticators:
  staff: { type: jwt, issuer: "${ISSUER}", audience: app, jwksFile: jwks.json, subject: { type: User, id: $claims.sub } }
engines: { main: { type: cedar, policies: [../policies/*.cedar] } }
audit: [{ type: file, path: ../log/decisions.ndjson }]
upstreams: { app: { url: "${url}" } }
routes: [routes/*.yaml]
${changes.more ?? ''}
`,
  'config/jwks.json': JSON.stringify(jwksOf(await KEY)),
  'config/routes/app.yaml': changes.routes ?? streamRoutes(),
  'policies/main.cedar': policy('one', 'two'),
})

export const ADMIN_TOKEN = 'the-token-of-this-test'

export interface StreamsWorld {
  readonly gateway: TestGateway
  readonly application: Application
}

/** A gateway and such an application; both end with the test. */
export const startStreams = async (
  t: TestContext,
  changes: Parameters<typeof streamWorld>[1] & { readonly env?: Readonly<Record<string, string>> } = {},
): Promise<StreamsWorld> => {
  const application = await startApplication()
  const gateway = await startTestGateway(await streamWorld(application.url, changes), {
    env: { ADMIN_TOKEN, ...changes.env },
    watch: { quietMs: 20, patienceMs: 200 },
  })
  t.after(async () => {
    await application.close()
    await gateway.close()
  })
  return { gateway, application }
}

export const openSocket = async (
  { port }: { readonly port: number },
  path: string,
  token: string,
): Promise<{ readonly socket: WebSocket; readonly closed: Promise<number> }> => {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, {
    headers: { authorization: `Bearer ${token}`, host: 'app' },
  })
  const closed = new Promise<number>((resolve) => socket.once('close', resolve))
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve)
    socket.once('error', reject)
  })
  socket.on('error', () => undefined)
  return { socket, closed }
}

/** What was read of an answer until it ended or broke. */
export interface Reading {
  readonly response: IncomingMessage
  readonly ended: Promise<'complete' | 'broken'>
  readonly bytes: () => number
}

export const openDownload = (
  { port }: { readonly port: number },
  path: string,
  token: string,
  more: Readonly<Record<string, string>> = {},
): Promise<Reading> =>
  new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, host: 'app', ...more }
    const request = httpGet({ port, host: '127.0.0.1', path, headers }, (response) => {
      let bytes = 0
      const ended = new Promise<'complete' | 'broken'>((end) => {
        response.once('end', () => end('complete'))
        response.once('error', () => end('broken'))
      })
      response.once('data', () => resolve({ response, ended, bytes: () => bytes }))
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
      })
    })
    request.once('error', reject)
  })

/** Sends and sends; resolves with the status of an answer, or null when the connection broke. */
export const openUpload = (
  { port }: { readonly port: number },
  path: string,
  token: string,
): { readonly answered: Promise<number | null> } => {
  const headers = { authorization: `Bearer ${token}`, host: 'app' }
  const request = httpRequest({ port, host: '127.0.0.1', path, method: 'POST', headers })
  const timer = setInterval(() => request.write(Buffer.alloc(1000, 'u')), 10)
  const answered = new Promise<number | null>((resolve) => {
    request.once('response', (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    request.once('error', () => resolve(null))
    request.once('close', () => resolve(null))
  })
  answered.then(() => {
    clearInterval(timer)
    request.destroy()
  })
  return { answered }
}

/** The record of how the stream of some route has ended; waits for it. */
export const endOf = async (
  gateway: Pick<TestGateway, 'records'>,
  route: string,
): Promise<LoggedRecord & { readonly stream: Readonly<Record<string, unknown>> }> => {
  const deadline = AbortSignal.timeout(20_000)
  for (;;) {
    const found = gateway.records().find((record) => record.route === route && 'stream' in record)
    if (found !== undefined) return found as never
    deadline.throwIfAborted()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
