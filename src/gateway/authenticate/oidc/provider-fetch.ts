import type { CustomFetch } from 'openid-client'
import { Agent, request } from 'undici'
import { transportProblem } from '../provider.ts'

const MOST_BYTES = 1024 * 1024

export interface ProviderFetch {
  readonly fetch: CustomFetch
  readonly close: () => void
}

/**
 * How `openid-client` reaches the provider: redirects are not followed, an answer is at most 1 MiB and there within
 * the time, and nothing goes over plain http to another machine.
 *
 * A connection is not kept: calls are far apart.
 */
export const createProviderFetch = (options: {
  readonly timeoutMs: number
  readonly insecure: boolean
}): ProviderFetch => {
  const { timeoutMs, insecure } = options
  const agent = new Agent({ connect: { timeout: timeoutMs }, pipelining: 0 })
  const closing = new AbortController()
  return {
    fetch: async (url, { method, headers, body, signal }) => {
      const problem = transportProblem(url, insecure)
      if (problem !== null) throw new TypeError(`the provider names an address that is not used: ${problem}`)
      const signals = [closing.signal, AbortSignal.timeout(timeoutMs), ...(signal ? [signal] : [])]
      const deadline = AbortSignal.any(signals)
      const sent = body === undefined || body === null ? null : String(body)
      return until(deadline, exchange(url, { method, headers, body: sent, signal: deadline, agent }))
    },
    close: () => {
      closing.abort()
      agent.destroy().catch(() => undefined)
    },
  }
}

interface Sent {
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | null
  readonly signal: AbortSignal
  readonly agent: Agent
}

const exchange = async (url: string, { method, headers, body, signal, agent }: Sent): Promise<Response> => {
  const answer = await request(url, {
    method: method === 'POST' ? 'POST' : 'GET',
    headers: { ...headers },
    body,
    signal,
    dispatcher: agent,
  })
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of answer.body) {
    const bytes = Buffer.from(chunk)
    length += bytes.length
    // Leaving the loop destroys what is left of it.
    if (length > MOST_BYTES) throw new TypeError(`the provider answered more than ${MOST_BYTES} bytes`)
    chunks.push(bytes)
  }
  const bare = answer.statusCode === 204 || answer.statusCode === 304
  const received = new Headers()
  for (const [name, value] of Object.entries(answer.headers)) {
    for (const each of Array.isArray(value) ? value : [value ?? '']) received.append(name, each)
  }
  return new Response(bare ? null : Buffer.concat(chunks), { status: answer.statusCode, headers: received })
}

// The client looks at its signal only once it is connected; a deadline must also hold before that.
const until = <T>(signal: AbortSignal, work: Promise<T>): Promise<T> =>
  Promise.race([
    work,
    new Promise<never>((_, reject) => {
      if (signal.aborted) reject(signal.reason)
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    }),
  ])
