import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

/** One answer as it came over the wire. */
export interface RawResponse {
  readonly status: number
  readonly reason: string
  /** Flat name, value pairs in the order and spelling of the wire; Latin-1 text. */
  readonly headers: readonly string[]
  /** Every value of one field, in order. */
  readonly header: (name: string) => readonly string[]
  /** The body with its chunked coding removed. */
  readonly body: Buffer
  /** Of a chunked body; flat name, value pairs. */
  readonly trailers: readonly string[]
}

export interface RawConnection {
  readonly socket: Socket
  /** Strings are Latin-1. */
  readonly send: (bytes: string | Buffer) => void
  /** Sends FIN; what comes back is still read. */
  readonly end: () => void
  readonly destroy: () => void
  /** The next complete answer. Rejects at the deadline, or when the connection ends before it is complete. */
  readonly response: (options?: { readonly head?: boolean }) => Promise<RawResponse>
  /** How the connection ended. Rejects at the deadline. */
  readonly closed: () => Promise<'end' | 'reset'>
  /** Resolves once everything that has come satisfies `test`. Rejects at the deadline, or at the end. */
  readonly received: (test: (text: string) => boolean) => Promise<string>
  /** Everything that came so far, whether it was taken by `response` or not. */
  readonly bytes: () => Buffer
}

const DEADLINE_MS = 5000

const openTcp = (port: number): Socket => connect({ port, host: '127.0.0.1', noDelay: true })

/** The same over TLS; whose certificate it is does not matter. */
export const openTls = (port: number): Socket =>
  connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }).setNoDelay(true)

/**
 * A client that sends exactly the bytes it is given.
 *
 * @param deadlineMs of each wait; default 5000.
 * @param open makes the connection; default TCP to 127.0.0.1.
 */
export const openRaw = async (
  port: number,
  deadlineMs = DEADLINE_MS,
  open: (port: number) => Socket = openTcp,
): Promise<RawConnection> => {
  const socket = open(port)
  let all: Buffer<ArrayBufferLike> = Buffer.alloc(0)
  let taken = 0
  let end: 'end' | 'reset' | null = null
  let wake: (() => void)[] = []
  const notify = (): void => {
    const waiting = wake
    wake = []
    for (const waiter of waiting) waiter()
  }
  socket.on('data', (chunk) => {
    all = all.length === 0 ? chunk : Buffer.concat([all, chunk])
    notify()
  })
  socket.on('end', () => {
    end ??= 'end'
    notify()
  })
  socket.on('error', () => {
    end = 'reset'
    notify()
  })
  socket.on('close', () => {
    end ??= 'end'
    notify()
  })
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })

  const wait = async <T>(what: string, look: () => T | null): Promise<T> => {
    const deadline = Date.now() + deadlineMs
    for (;;) {
      const found = look()
      if (found !== null) return found
      const leftMs = deadline - Date.now()
      if (leftMs <= 0) throw new Error(`no ${what} within ${deadlineMs} ms, got ${summary(all)}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs)
        wake.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
  }

  return {
    socket,
    send: (bytes) => socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes),
    end: () => socket.end(),
    destroy: () => socket.destroy(),
    response: ({ head = false } = {}) =>
      wait('complete response', () => {
        const parsed = parseResponse(all.subarray(taken), head, end !== null)
        if (parsed !== null) {
          taken += parsed.length
          return parsed.response
        }
        if (end !== null) throw new Error(`the connection ended before a response, got ${summary(all)}`)
        return null
      }),
    closed: () => wait('end of the connection', () => end),
    received: (test) =>
      wait('such bytes', () => {
        const text = all.toString('latin1')
        if (test(text)) return text
        if (end !== null) throw new Error(`the connection ended before such bytes, got ${summary(all)}`)
        return null
      }),
    bytes: () => all,
  }
}

/** Sends one request and reads its answer; the connection is then cut. */
export const rawRequest = async (
  port: number,
  bytes: string | Buffer,
  options: { readonly head?: boolean; readonly deadlineMs?: number } = {},
): Promise<RawResponse> => {
  const connection = await openRaw(port, options.deadlineMs)
  try {
    connection.send(bytes)
    return await connection.response(options.head === true ? { head: true } : {})
  } finally {
    connection.destroy()
  }
}

/** Sends bytes and reads until the other side closes; the answers in what came, and how it ended. */
export const rawUntilClosed = async (
  port: number,
  bytes: string | Buffer,
  options: { readonly deadlineMs?: number } = {},
): Promise<{
  readonly responses: readonly RawResponse[]
  readonly bytes: Buffer
  readonly end: 'end' | 'reset'
}> => {
  const connection = await openRaw(port, options.deadlineMs)
  try {
    connection.send(bytes)
    const end = await connection.closed()
    const responses: RawResponse[] = []
    let rest = connection.bytes()
    for (;;) {
      const parsed = parseResponse(rest, false, true)
      if (parsed === null) return { responses, bytes: connection.bytes(), end }
      responses.push(parsed.response)
      rest = rest.subarray(parsed.length)
    }
  } finally {
    connection.destroy()
  }
}

const summary = (bytes: Buffer): string => JSON.stringify(bytes.toString('latin1').slice(0, 300))

const parseFields = (lines: readonly string[]): string[] =>
  lines.flatMap((line) => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon), line.slice(colon + 1).trim()]
  })

const valuesOf = (pairs: readonly string[], name: string): readonly string[] =>
  pairs.filter((_, index) => index % 2 === 1 && pairs[index - 1]?.toLowerCase() === name.toLowerCase())

interface Parsed {
  readonly response: RawResponse
  readonly length: number
}

/** The first answer in the bytes with its length; null when it is not complete. */
const parseResponse = (bytes: Buffer, head: boolean, ended: boolean): Parsed | null => {
  const headEnd = bytes.indexOf('\r\n\r\n')
  if (headEnd === -1) return null
  const [statusLine = '', ...lines] = bytes.toString('latin1', 0, headEnd).split('\r\n')
  const found = /^HTTP\/1\.1 ([0-9]{3}) (.*)$/.exec(statusLine)
  if (found === null) throw new Error(`not a status line: ${JSON.stringify(statusLine)}`)
  const status = Number(found[1])
  const headers = parseFields(lines)
  const header = (name: string): readonly string[] => valuesOf(headers, name)
  const start = headEnd + 4
  const body = readBody(bytes, start, { hasBody: !head && bodyAllowed(status), header, ended })
  if (body === null) return null
  const response = {
    status,
    reason: found[2] ?? '',
    headers,
    header,
    body: body.body,
    trailers: body.trailers,
  }
  return { response, length: body.end }
}

const bodyAllowed = (status: number): boolean => status >= 200 && status !== 204 && status !== 304

const EMPTY = Buffer.alloc(0)

const readBody = (
  bytes: Buffer,
  start: number,
  framing: { readonly hasBody: boolean; readonly header: RawResponse['header']; readonly ended: boolean },
): { readonly body: Buffer; readonly trailers: readonly string[]; readonly end: number } | null => {
  if (!framing.hasBody) return { body: EMPTY, trailers: [], end: start }
  if (framing.header('transfer-encoding').length > 0) return readChunks(bytes, start)
  const [length] = framing.header('content-length')
  if (length === undefined) {
    return framing.ended ? { body: bytes.subarray(start), trailers: [], end: bytes.length } : null
  }
  const end = start + Number(length)
  return end <= bytes.length ? { body: bytes.subarray(start, end), trailers: [], end } : null
}

const readChunks = (
  bytes: Buffer,
  start: number,
): { readonly body: Buffer; readonly trailers: readonly string[]; readonly end: number } | null => {
  const chunks: Buffer[] = []
  let at = start
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd === -1) return null
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16)
    if (Number.isNaN(size)) throw new Error('not a chunk size')
    if (size === 0) {
      const end = bytes.indexOf('\r\n\r\n', lineEnd)
      if (end === -1) return null
      const lines = end === lineEnd ? [] : bytes.toString('latin1', lineEnd + 2, end).split('\r\n')
      return { body: Buffer.concat(chunks), trailers: parseFields(lines), end: end + 4 }
    }
    const dataEnd = lineEnd + 2 + size
    if (dataEnd + 2 > bytes.length) return null
    chunks.push(bytes.subarray(lineEnd + 2, dataEnd))
    at = dataEnd + 2
  }
}
