import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { gunzipSync } from 'node:zlib'
import type { TestCertificate } from './certificates.ts'

/** What a collector does with one batch. */
export type Behaviour =
  /** Takes it and says so. */
  | { readonly kind: 'take' }
  /** Takes it, and its answer is lost on the way. */
  | { readonly kind: 'take, and the answer is lost' }
  | { readonly kind: 'take, and the answer is cut' }
  /** Throws it away. */
  | { readonly kind: 'answer'; readonly status: number; readonly retryAfter?: number }
  | { readonly kind: 'never answer' }

export interface ReceivedBatch {
  readonly headers: IncomingMessage['headers']
  readonly path: string
  readonly text: string
  readonly ids: readonly string[]
}

export interface TestCollector {
  readonly url: string
  readonly port: number
  /** Every batch that came in whole, also those that were thrown away. */
  readonly batches: readonly ReceivedBatch[]
  /** Ids of all records that were taken, in order; one that was taken twice is there twice. */
  readonly taken: () => readonly string[]
  /** Says what becomes of each batch from now on. */
  readonly behave: (choose: (batch: ReceivedBatch) => Behaviour) => void
  readonly close: () => Promise<void>
}

export interface CollectorOptions {
  /** Default: any. */
  readonly port?: number
  readonly tls?: TestCertificate
  /** PEM of who vouches for gateways; they have to show a certificate then. */
  readonly clientCa?: string
}

/** Starts a collector of decision records that can be made to misbehave. */
export const startCollector = async ({
  port = 0,
  tls,
  clientCa,
}: CollectorOptions = {}): Promise<TestCollector> => {
  const batches: ReceivedBatch[] = []
  const taken: string[] = []
  let choose: (batch: ReceivedBatch) => Behaviour = () => ({ kind: 'take' })
  const onRequest: RequestListener = (request, response) => {
    const chunks: Buffer[] = []
    request.on('error', () => undefined)
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const batch = readBatch(request, Buffer.concat(chunks))
      batches.push(batch)
      const behaviour = choose(batch)
      if (behaviour.kind.startsWith('take')) taken.push(...batch.ids)
      perform(behaviour, response)
    })
  }
  const asking = clientCa === undefined ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: true }
  const server =
    tls === undefined ? createServer(onRequest) : createTlsServer({ ...tls, ...asking }, onRequest)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  // Not null and not a name: it listens on a TCP port.
  const address = server.address() as AddressInfo
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${address.port}/in/take`,
    port: address.port,
    batches,
    taken: () => taken,
    behave: (choice) => {
      choose = choice
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

const readBatch = (request: IncomingMessage, body: Buffer): ReceivedBatch => {
  const text = (request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body).toString('utf8')
  const lines = request.headers['content-type'] === 'application/json' ? JSON.parse(text) : linesOf(text)
  const ids = lines.map(({ id }: { readonly id: string }) => id)
  return { headers: request.headers, path: request.url ?? '', text, ids }
}

const linesOf = (text: string): unknown =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))

const perform = (behaviour: Behaviour, response: ServerResponse): void => {
  switch (behaviour.kind) {
    case 'take':
      response.end('{"taken":true}')
      break
    case 'take, and the answer is lost':
      response.socket?.resetAndDestroy()
      break
    case 'take, and the answer is cut':
      response.writeHead(200, { 'content-length': 100 })
      response.write('{"taken":', () => response.socket?.resetAndDestroy())
      break
    case 'answer': {
      const { status, retryAfter } = behaviour
      response
        .writeHead(status, retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) })
        .end('no')
      break
    }
    case 'never answer':
      break
  }
}
