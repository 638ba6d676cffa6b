import { type ClientRequest, type IncomingMessage, request as startRequest } from 'node:http'
import type { Duplex } from 'node:stream'

/** The way to the admin server of one worker. */
export interface WorkerDoor {
  readonly index: number
  readonly connect: (peer: { readonly remoteAddress: string; readonly localAddress: string }) => Duplex
}

export interface WorkerAnswer {
  readonly index: number
  readonly status: number
  readonly rawHeaders: readonly string[]
  readonly text: string
}

const DEADLINE_MS = 20_000
const MAX_BYTES = 64 << 20

/** Fields of one connection, which are not passed on to the next. */
const OF_CONNECTION: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'expect', 'upgrade', 'te'])

export const passedOn = (rawHeaders: readonly string[], more: ReadonlySet<string> = new Set()): string[] => {
  const passed: string[] = []
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? '').toLowerCase()
    if (!OF_CONNECTION.has(name) && !more.has(name)) {
      passed.push(rawHeaders[index] ?? '', rawHeaders[index + 1] ?? '')
    }
  }
  return passed
}

/** Begins to ask a worker what the front was asked; the body is the caller's to send. */
export const openRequest = (door: WorkerDoor, asked: IncomingMessage): ClientRequest => {
  const { socket, method = 'GET', url = '/' } = asked
  const { remoteAddress = '', localAddress = '' } = socket
  return startRequest({
    createConnection: () => door.connect({ remoteAddress, localAddress }),
    method,
    path: url,
    headers: [...passedOn(asked.rawHeaders), 'Connection', 'close'],
  })
}

/** Asks a worker what the front was asked, which has no body. Rejects when it does not answer in time. */
export const askWorker = (door: WorkerDoor, asked: IncomingMessage): Promise<WorkerAnswer> =>
  new Promise((resolve, reject) => {
    const outgoing = openRequest(door, asked)
    const fail = (error: Error): void => {
      clearTimeout(deadline)
      outgoing.destroy()
      reject(error)
    }
    const deadline = setTimeout(() => fail(new Error(`worker ${door.index} did not answer`)), DEADLINE_MS)
    outgoing.on('error', fail)
    outgoing.on('response', (response) => {
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > MAX_BYTES) fail(new Error(`worker ${door.index} answered with too much`))
        else chunks.push(chunk)
      })
      response.on('error', fail)
      response.on('end', () => {
        clearTimeout(deadline)
        const { statusCode: status = 500, rawHeaders } = response
        resolve({ index: door.index, status, rawHeaders, text: Buffer.concat(chunks).toString('utf8') })
      })
    })
    outgoing.end()
  })
