import { hash } from 'node:crypto'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { Pool } from 'undici'
import { errorCode } from '../error-code.ts'
import type { CollectorTls } from './collector-tls.ts'
import type { Lines } from './spool-segment.ts'

/** What became of a batch. */
export type Delivered =
  | { readonly kind: 'acknowledged' }
  /** Nobody knows whether it arrived; to be sent again. */
  | { readonly kind: 'failed'; readonly reason: string; readonly retryAfterMs: number }
  /** The collector looked at it and will not take it, however often it is sent. */
  | { readonly kind: 'refused'; readonly reason: string }

/** Where batches go. */
export interface Collector {
  /** Sends one batch; ends within the timeout, and soon when the signal is aborted. Never rejects. */
  readonly send: (lines: Lines, signal: AbortSignal) => Promise<Delivered>
  readonly close: () => void
}

export interface CollectorOptions extends CollectorTls {
  /** `http:` or `https:`, without query. */
  readonly url: string
  readonly format: 'ndjson' | 'json'
  readonly compress: boolean
  /** Flat name, value, …; may hold a secret. */
  readonly headers: readonly string[]
  /** For the whole of one attempt, connecting included. */
  readonly timeoutMs: number
}

/** What of an answer is read at most; who says more than that has said enough. */
const MOST_ANSWER_BYTES = 65_536
const NEWLINE = 0x0a
/** The batch itself is what is wrong: its size or its content. */
const REFUSING: ReadonlySet<number> = new Set([400, 413, 422])

const packed = promisify<Buffer, Buffer>(gzip)

/** Sends batches one after the other on one connection. Redirects are not followed. */
export const createCollector = (options: CollectorOptions): Collector => {
  const { url, ca, serverName, client, timeoutMs } = options
  const { origin, pathname } = new URL(url)
  const pool = new Pool(origin, {
    connections: 1,
    pipelining: 1,
    allowH2: false,
    connect: {
      timeout: timeoutMs,
      minVersion: 'TLSv1.2',
      ...(ca === null ? {} : { ca: ca.toString('latin1') }),
      ...(serverName === null ? {} : { servername: serverName }),
      ...client,
    },
  })

  const post = async (lines: Lines, signal: AbortSignal): Promise<Delivered> => {
    const body = options.compress
      ? await packed(content(lines, options.format))
      : content(lines, options.format)
    const headers = headersOf(lines, options)
    const answer = await pool.request({ path: pathname, method: 'POST', headers, body, signal })
    // Only an answer that arrived whole is one: a collector that dies while it answers may have kept nothing.
    let bytes = 0
    for await (const chunk of answer.body) {
      bytes += Buffer.byteLength(chunk)
      if (bytes > MOST_ANSWER_BYTES) break
    }
    return verdict(answer.statusCode, answer.headers['retry-after'])
  }

  return {
    send: async (lines, signal) => {
      const controller = new AbortController()
      const abort = (): void => controller.abort()
      const timer = setTimeout(abort, timeoutMs)
      signal.addEventListener('abort', abort, { once: true })
      try {
        return await settled(post(lines, controller.signal), controller.signal)
      } catch (error) {
        const reason = controller.signal.aborted
          ? `no answer within ${timeoutMs} ms`
          : `not reached: ${errorCode(error)}`
        return { kind: 'failed', reason, retryAfterMs: 0 }
      } finally {
        clearTimeout(timer)
        signal.removeEventListener('abort', abort)
      }
    },
    close: () => void pool.destroy(),
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

const content = ({ bytes }: Lines, format: CollectorOptions['format']): Buffer => {
  if (format === 'ndjson') return bytes
  // Lines hold no other newline than the one at their end: in JSON it is written as \n.
  const list = Buffer.from(bytes)
  for (let at = list.indexOf(NEWLINE); at !== -1; at = list.indexOf(NEWLINE, at + 1)) list[at] = 0x2c
  return Buffer.concat([Buffer.from('['), list.subarray(0, -1), Buffer.from(']')])
}

const headersOf = (lines: Lines, { format, compress, headers }: CollectorOptions): string[] => [
  'content-type',
  format === 'ndjson' ? 'application/x-ndjson' : 'application/json',
  'user-agent',
  'sallyport',
  'idempotency-key',
  batchKey(lines),
  ...(compress ? ['content-encoding', 'gzip'] : []),
  ...headers,
]

/** The same for the same records, also when they are sent again, and for no others: whatever shape they have. */
const batchKey = ({ bytes, records }: Lines): string => {
  const first = bytes.subarray(0, bytes.indexOf(NEWLINE))
  const id = /^\{"v":\d+,"id":"([\w-]+)"/.exec(first.subarray(0, 128).toString('latin1'))?.[1]
  return `"${id ?? hash('sha256', first, 'base64url')}/${records}"`
}

const verdict = (status: number, retryAfter: string | string[] | undefined): Delivered => {
  if (status >= 200 && status < 300) return { kind: 'acknowledged' }
  const reason = `answered ${status}`
  if (REFUSING.has(status)) return { kind: 'refused', reason }
  const seconds = typeof retryAfter === 'string' && /^\d{1,6}$/.test(retryAfter) ? Number(retryAfter) : 0
  return { kind: 'failed', reason, retryAfterMs: seconds * 1000 }
}
