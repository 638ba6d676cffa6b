import { type buildConnector, Client } from 'undici'
import { codeOf } from './upstream-failure.ts'

export interface HealthCheckOptions {
  readonly origin: string
  /** Of the request to the application. */
  readonly host: string
  readonly path: string
  readonly intervalMs: number
  /** For a connection and the head of an answer together. */
  readonly timeoutMs: number
  readonly connect: buildConnector.connector
  /** Told of each check; null: all is well. */
  readonly checked: (problem: string | null) => void
}

const TIMED_OUT = new DOMException('the check took too long', 'TimeoutError')
const LEAST_OK = 200
const MOST_OK = 399

/**
 * Asks an origin now and then, over a connection of its own each time, whether it is well; it is when it answers 2xx or 3xx.
 *
 * No caller stands behind that request: it carries no assertion and no credentials.
 *
 * @returns what stops it.
 */
export const startHealthCheck = (options: HealthCheckOptions): (() => void) => {
  const { origin, host, path, intervalMs, timeoutMs, connect, checked } = options
  const client = new Client(origin, { connect, headersTimeout: timeoutMs, pipelining: 1, allowH2: false })
  let isStopped = false
  // One for each check: signals that are made of one that lives on are not forgotten before it is.
  let asking: AbortController | null = null
  const ask = async (signal: AbortSignal): Promise<string | null> => {
    const headers = { host, 'user-agent': 'sallyport' }
    const asked = client.request({ method: 'GET', path, headers, signal, reset: true })
    // The client looks at its signal only once it is connected; a deadline must also hold before that.
    const { statusCode, body } = await Promise.race([asked, rejectedBy(signal)])
    // Only the head counts; whatever becomes of the rest is nobody's concern.
    body.on('error', () => undefined).destroy()
    return statusCode < LEAST_OK || statusCode > MOST_OK ? `HTTP ${statusCode}` : null
  }
  const check = async (): Promise<void> => {
    if (asking !== null) return
    const controller = new AbortController()
    asking = controller
    const deadline = setTimeout(() => controller.abort(TIMED_OUT), timeoutMs)
    const problem = await ask(controller.signal).catch((error: unknown) => codeOf(error))
    clearTimeout(deadline)
    asking = null
    if (!isStopped) checked(problem)
  }
  const timer = setInterval(() => void check(), intervalMs).unref()
  return () => {
    clearInterval(timer)
    isStopped = true
    asking?.abort()
    void client.destroy()
  }
}

const rejectedBy = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })
