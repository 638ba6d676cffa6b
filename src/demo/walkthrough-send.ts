import { Agent, type IncomingMessage, request } from 'node:http'
import type { StepRequest } from './walkthrough-steps.ts'

export interface Answer {
  readonly status: number
  readonly reason: string
  readonly decisionId: string | null
  readonly body: string
  /** From the first byte out to the last byte in. */
  readonly tookMs: number
}

const DEADLINE_MS = 10_000

/** What a step is sent with: who it is for decides what it carries. */
export const headersOf = (
  step: StepRequest,
  credentials: { readonly token: string | null; readonly partnerKey: string },
): Readonly<Record<string, string>> => ({
  ...(credentials.token === null ? {} : { Authorization: `Bearer ${credentials.token}` }),
  ...(step.partner === true ? { 'X-Api-Key': credentials.partnerKey } : {}),
  ...(step.json === undefined ? {} : { 'Content-Type': 'application/json' }),
  ...step.headers,
})

/** One connection that is kept, so that a later request is not quicker for having found it open. */
export const createAgent = (): Agent => new Agent({ keepAlive: true, maxSockets: 1 })

/**
 * Sends one request, its path untouched, and reads the answer.
 *
 * @param base such as `http://localhost:8080`: its host is the `Host`, but the connection goes to 127.0.0.1.
 */
export const sendStep = (
  step: StepRequest,
  base: URL,
  headers: Readonly<Record<string, string>>,
  agent: Agent,
  signal: AbortSignal,
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const startedMs = performance.now()
    const body = step.json === undefined ? undefined : JSON.stringify(step.json)
    const sent = request({
      agent: step.firstChunkOnly === true ? false : agent,
      host: '127.0.0.1',
      port: base.port,
      method: step.method,
      path: step.path,
      headers: {
        Host: base.host,
        ...headers,
        ...(body === undefined ? {} : { 'Content-Length': Buffer.byteLength(body) }),
      },
      signal: AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]),
    })
    sent.on('error', reject)
    sent.on('response', (response) => {
      readBody(response, step.firstChunkOnly === true).then((text) => {
        const decisionId = response.headers['sallyport-decision-id']
        resolve({
          status: response.statusCode ?? 0,
          reason: response.statusMessage ?? '',
          decisionId: typeof decisionId === 'string' ? decisionId : null,
          body: text,
          tookMs: performance.now() - startedMs,
        })
      }, reject)
    })
    sent.end(body)
  })

const readBody = async (response: IncomingMessage, firstChunkOnly: boolean): Promise<string> => {
  const chunks: Buffer[] = []
  // Leaving the loop early closes the connection.
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    if (firstChunkOnly) break
  }
  return Buffer.concat(chunks).toString('utf8')
}
