import { Agent, type IncomingMessage, request } from 'node:http'
import type { Duplex } from 'node:stream'
import type { StepRequest } from './walkthrough-steps.ts'

export interface Answer {
  readonly status: number
  readonly reason: string
  readonly decisionId: string | null
  readonly body: string
  /** From the first byte out to the last byte in. */
  readonly tookMs: number
}

/** Ends what has been granted to a subject, `Type::id`. */
export type Revoke = (subject: string) => Promise<void>

const DEADLINE_MS = 10_000

/** The key is any: it only shows that the answer belongs to the question. */
const UPGRADE = {
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': 'c2FsbHlwb3J0LWRlbW8tMQ==',
}

/** What a step is sent with: who it is for decides what it carries. */
export const headersOf = (
  step: StepRequest,
  credentials: { readonly token: string | null; readonly partnerKey: string },
): Readonly<Record<string, string>> => ({
  ...(credentials.token === null ? {} : { Authorization: `Bearer ${credentials.token}` }),
  ...(step.partner === true ? { 'X-Api-Key': credentials.partnerKey } : {}),
  ...(step.json === undefined ? {} : { 'Content-Type': 'application/json' }),
  ...(step.webSocket === true ? UPGRADE : {}),
  ...step.headers,
})

/** One connection that is kept, so that a later request is not quicker for having found it open. */
export const createAgent = (): Agent => new Agent({ keepAlive: true, maxSockets: 1 })

/**
 * Sends one request, its path untouched, reads the answer, and revokes where the step says so.
 *
 * @param base such as `http://localhost:8080`: its host is the `Host`, but the connection goes to 127.0.0.1.
 */
export const sendStep = (
  step: StepRequest,
  base: URL,
  headers: Readonly<Record<string, string>>,
  { agent, revoke, signal }: { readonly agent: Agent; readonly revoke: Revoke; readonly signal: AbortSignal },
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const startedMs = performance.now()
    const body = step.json === undefined ? undefined : JSON.stringify(step.json)
    const sent = request({
      agent: isShort(step) ? agent : false,
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
    const finish = (response: IncomingMessage, text: string): void => {
      const decisionId = response.headers['sallyport-decision-id']
      resolve({
        status: response.statusCode ?? 0,
        reason: response.statusMessage ?? '',
        decisionId: typeof decisionId === 'string' ? decisionId : null,
        body: text,
        tookMs: performance.now() - startedMs,
      })
    }
    sent.on('response', (response) => {
      readBody(response, step, revoke).then((text) => finish(response, text), reject)
    })
    sent.on('upgrade', (response, socket, behind) => {
      readMessage(socket, behind).then((text) => finish(response, text), reject)
    })
    sent.end(body)
  })

/** A connection on which an answer never ends by itself is not used again. */
const isShort = ({ firstChunkOnly, webSocket, thenRevoke }: StepRequest): boolean =>
  firstChunkOnly !== true && webSocket !== true && thenRevoke === undefined

const readBody = async (
  response: IncomingMessage,
  { firstChunkOnly, thenRevoke }: StepRequest,
  revoke: Revoke,
): Promise<string> => {
  const chunks: Buffer[] = []
  // Leaving the loop early closes the connection.
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    if (firstChunkOnly === true) break
    if (thenRevoke !== undefined && chunks.length === 1) await revoke(thenRevoke)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** The text of the first frame, which is short; closes the connection. */
const readMessage = async (socket: Duplex, behind: Buffer): Promise<string> => {
  const chunks = [behind]
  const messageOf = (bytes: Buffer): string | null => {
    const length = bytes[1]
    return length === undefined || bytes.length < 2 + length ? null : bytes.toString('utf8', 2, 2 + length)
  }
  let message = messageOf(behind)
  if (message === null) {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      chunks.push(chunk)
      message = messageOf(Buffer.concat(chunks))
      if (message !== null) break
    }
  }
  socket.destroy()
  return message ?? ''
}
