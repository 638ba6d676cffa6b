import { type Dispatcher, Pool } from 'undici'
import type { RemoteTls } from './remote-tls.ts'

export interface RemoteOptions {
  /** Of the engine; only its origin is used here. */
  readonly url: string
  /** For a whole answer, connecting included. */
  readonly timeoutMs: number
  /** Connections at most; what is over waits for one. */
  readonly connections: number
  readonly tls: RemoteTls | null
  /** Of every call, such as `Authorization`. */
  readonly headers: Readonly<Record<string, string>>
}

export interface RemoteCall {
  readonly method: 'GET' | 'POST'
  /** Path and query. */
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  /** JSON; left out: none. */
  readonly body?: string
}

export interface RemoteAnswer {
  readonly status: number
  /** Without parameters, in lower case; empty when there is none. */
  readonly mediaType: string
  readonly text: string
}

/** No answer: `failure` is for operators; `gone` when whoever asked did not wait for it. */
export interface NoAnswer {
  readonly failure: string
  readonly gone: boolean
}

export interface RemoteHttp {
  /** Never throws for what the other side does. */
  readonly send: (call: RemoteCall, signal: AbortSignal) => Promise<RemoteAnswer | NoAnswer>
  readonly close: () => Promise<void>
}

const MOST_BYTES = 1024 * 1024
const UTF8 = new TextDecoder('utf-8', { fatal: true })

/**
 * HTTP/1.1 to an engine, over connections that are kept.
 *
 * Redirects are not followed, an answer has at most 1 MiB, and all of it is there within the deadline.
 * A kept connection turns out to be dead only when it is used: then the question, which changes nothing, is sent once more.
 */
export const createRemoteHttp = (options: RemoteOptions): RemoteHttp => {
  const { url, timeoutMs, connections, tls } = options
  const pool = new Pool(new URL(url).origin, {
    connections,
    pipelining: 1,
    allowH2: false,
    connect: {
      timeout: timeoutMs,
      ...(tls === null ? {} : tls.connect),
    },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    // Shorter than that of the servers that are usual (OPA and Cerbos: none), so that it ends here first.
    keepAliveTimeout: 4000,
  })
  return {
    send: (call, signal) => sendInTime(pool, call, options, signal),
    close: () => pool.destroy(),
  }
}

const sendInTime = async (
  pool: Pool,
  call: RemoteCall,
  { timeoutMs, headers }: RemoteOptions,
  signal: AbortSignal,
): Promise<RemoteAnswer | NoAnswer> => {
  const controller = new AbortController()
  const leave = (): void => controller.abort()
  let late = false
  const timer = setTimeout(() => {
    late = true
    controller.abort()
  }, timeoutMs)
  if (signal.aborted) leave()
  signal.addEventListener('abort', leave, { once: true })
  const wanted: Dispatcher.RequestOptions = {
    method: call.method,
    path: call.path,
    headers: {
      accept: 'application/json',
      'user-agent': 'sallyport',
      ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
      ...call.headers,
    },
    ...(call.body === undefined ? {} : { body: call.body }),
    signal: controller.signal,
  }
  try {
    return await settled(exchange(pool, wanted, true), controller.signal)
  } catch (error) {
    if (late) return { failure: `no answer within ${timeoutMs} ms`, gone: false }
    if (signal.aborted) return { failure: 'nobody waited for the answer', gone: true }
    return { failure: `no answer (${codeOf(error)})`, gone: false }
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', leave)
  }
}

// The client looks at its signal only once it is connected; a deadline must also hold before that.
const settled = <T>(work: Promise<T>, signal: AbortSignal): Promise<T> =>
  Promise.race([
    work,
    new Promise<never>((_, reject) => {
      if (signal.aborted) reject(signal.reason)
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    }),
  ])

const DEAD_CONNECTION: ReadonlySet<string> = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE'])

const exchange = async (
  pool: Pool,
  wanted: Dispatcher.RequestOptions,
  mayRepeat: boolean,
): Promise<RemoteAnswer | NoAnswer> => {
  let response: Dispatcher.ResponseData
  try {
    response = await pool.request(wanted)
  } catch (error) {
    if (!mayRepeat || !DEAD_CONNECTION.has(codeOf(error))) throw error
    return exchange(pool, wanted, false)
  }
  const { statusCode: status, headers, body } = response
  const chunks: Buffer[] = []
  let length = 0
  // The loop destroys what it has not read when it is left, and its connection with it.
  for await (const chunk of body) {
    const bytes = Buffer.from(chunk)
    length += bytes.length
    if (length > MOST_BYTES) return { failure: `an answer of more than ${MOST_BYTES} bytes`, gone: false }
    chunks.push(bytes)
  }
  try {
    const text = UTF8.decode(Buffer.concat(chunks))
    return { status, mediaType: mediaTypeOf(headers['content-type']), text }
  } catch {
    return { failure: 'an answer that is not UTF-8', gone: false }
  }
}

const mediaTypeOf = (field: string | string[] | undefined): string =>
  typeof field === 'string' ? (field.split(';')[0] ?? '').trim().toLowerCase() : ''

const codeOf = (error: unknown): string => {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined
  return typeof code === 'string' ? code : 'no code'
}
