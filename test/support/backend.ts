import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'

/** One request as it arrived, byte for byte. */
export interface RecordedRequest {
  /** Everything from the request line to the last byte of the body, framing included. */
  readonly raw: Buffer
  readonly requestLine: string
  /** Header lines as sent, without the request line; Latin-1 text. */
  readonly headerLines: readonly string[]
  /** Every value of one field, in order. */
  readonly header: (name: string) => readonly string[]
  /** The body with its chunked coding removed. */
  readonly body: Buffer
  /** Counts the connections of this backend from 0. */
  readonly connection: number
}

/** A raw answer: its bytes, or a function that writes to the socket by itself. */
export type RawAnswer = string | Buffer | ((request: RecordedRequest, socket: Socket) => void)

export interface RawBackend {
  readonly port: number
  readonly url: string
  readonly requests: readonly RecordedRequest[]
  readonly connections: readonly Socket[]
  /** Resolves with request number `index` (from 0), or the next one to come. */
  readonly request: (index?: number) => Promise<RecordedRequest>
  readonly connection: (index?: number) => Promise<Socket>
  readonly close: () => Promise<void>
}

export const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

/**
 * An upstream on `node:net` that keeps the exact bytes of every request, and answers with the exact bytes given.
 *
 * @param answers one answer for all, or one a request in order (the last is repeated); default `200 ok`.
 * @param options.early a request is answered when its head is there, without waiting for its body.
 * @param options.port default any that is free.
 */
export const startRawBackend = async (
  answers: RawAnswer | readonly RawAnswer[] = OK,
  options: {
    readonly early?: boolean
    readonly port?: number
    readonly onConnection?: (socket: Socket) => void
  } = {},
): Promise<RawBackend> => {
  const script = Array.isArray(answers) ? answers : [answers]
  const requests = collection<RecordedRequest>()
  const connections = collection<Socket>()
  let answered = 0

  const answer = (request: RecordedRequest, socket: Socket): void => {
    const next: RawAnswer = script[Math.min(answered, script.length - 1)] ?? OK
    answered += 1
    if (typeof next === 'function') next(request, socket)
    else socket.write(next, 'latin1')
  }

  const server = createTcpServer((socket) => {
    const number = connections.items.length
    connections.add(socket)
    socket.on('error', () => undefined)
    options.onConnection?.(socket)
    let buffered: Buffer<ArrayBufferLike> = Buffer.alloc(0)
    let headAnswered = false
    socket.on('data', (chunk) => {
      buffered = buffered.length === 0 ? chunk : Buffer.concat([buffered, chunk])
      for (;;) {
        if (options.early === true && !headAnswered) {
          const head = parseHead(buffered)
          if (head === null) return
          headAnswered = true
          answer(recorded(buffered, head, Buffer.alloc(0), number), socket)
        }
        const parsed = parseRequest(buffered, number)
        if (parsed === null) return
        buffered = buffered.subarray(parsed.raw.length)
        requests.add(parsed)
        if (!headAnswered) answer(parsed, socket)
        headAnswered = false
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, '127.0.0.1', resolve))
  // An address object is certain here: the server listens on TCP.
  const { port } = server.address() as AddressInfo
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    requests: requests.items,
    connections: connections.items,
    request: requests.at,
    connection: connections.at,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of connections.items) socket.destroy()
      }),
  }
}

export interface HttpBackend {
  readonly port: number
  readonly url: string
  readonly close: () => Promise<void>
}

/** An upstream on `node:http`, for tests to which the exact bytes do not matter. */
export const startHttpBackend = async (listener: RequestListener): Promise<HttpBackend> => {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // An address object is certain here: the server listens on TCP.
  const { port } = server.address() as AddressInfo
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** A port on which nothing listens. */
export const closedPort = async (): Promise<number> => {
  const server = createTcpServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  // An address object is certain here: the server listens on TCP.
  const { port } = server.address() as AddressInfo
  await new Promise<void>((resolve) => server.close(() => resolve()))
  return port
}

const collection = <T>() => {
  const items: T[] = []
  const waiting: { readonly index: number; readonly resolve: (item: T) => void }[] = []
  return {
    items: items as readonly T[],
    add: (item: T): void => {
      items.push(item)
      for (const waiter of waiting) if (waiter.index === items.length - 1) waiter.resolve(item)
    },
    at: (index: number = items.length): Promise<T> => {
      const item = items[index]
      if (item !== undefined) return Promise.resolve(item)
      return new Promise((resolve) => waiting.push({ index, resolve }))
    },
  }
}

interface Head {
  readonly lines: readonly string[]
  readonly bodyStart: number
}

const parseHead = (bytes: Buffer): Head | null => {
  const end = bytes.indexOf('\r\n\r\n')
  if (end === -1) return null
  return { lines: bytes.subarray(0, end).toString('latin1').split('\r\n'), bodyStart: end + 4 }
}

const valuesOf = (lines: readonly string[], name: string): readonly string[] => {
  const prefix = `${name.toLowerCase()}:`
  return lines
    .filter((line) => line.toLowerCase().startsWith(prefix))
    .map((line) => line.slice(prefix.length).trim())
}

const recorded = (raw: Buffer, head: Head, body: Buffer, connection: number): RecordedRequest => {
  const [requestLine = '', ...headerLines] = head.lines
  return { raw, requestLine, headerLines, header: (name) => valuesOf(headerLines, name), body, connection }
}

const parseRequest = (bytes: Buffer, connection: number): RecordedRequest | null => {
  const head = parseHead(bytes)
  if (head === null) return null
  if (valuesOf(head.lines, 'transfer-encoding').length > 0) {
    const chunked = parseChunked(bytes, head.bodyStart)
    return chunked && recorded(bytes.subarray(0, chunked.end), head, chunked.body, connection)
  }
  const end = head.bodyStart + Number(valuesOf(head.lines, 'content-length')[0] ?? 0)
  if (bytes.length < end) return null
  return recorded(bytes.subarray(0, end), head, bytes.subarray(head.bodyStart, end), connection)
}

const parseChunked = (
  bytes: Buffer,
  start: number,
): { readonly end: number; readonly body: Buffer } | null => {
  const chunks: Buffer[] = []
  let at = start
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd === -1) return null
    const size = Number.parseInt(bytes.subarray(at, lineEnd).toString('latin1'), 16)
    if (size === 0) {
      // Either the empty line follows at once, or trailers end with one.
      const empty = bytes.indexOf('\r\n\r\n', lineEnd)
      return empty === -1 ? null : { end: empty + 4, body: Buffer.concat(chunks) }
    }
    const next = lineEnd + 2 + size + 2
    if (bytes.length < next) return null
    chunks.push(bytes.subarray(lineEnd + 2, next - 2))
    at = next
  }
}
