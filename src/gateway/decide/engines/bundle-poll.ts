import { Agent, request } from 'undici'
import type { Log } from '../../../core/log.ts'
import type { Secret } from '../../../core/secret.ts'
import type { EngineStatus } from './engine.ts'

export interface PolledBundle {
  /** Resolves when the first bundle is there, or could not be had. */
  readonly first: Promise<void>
  readonly status: () => EngineStatus
  readonly close: () => Promise<void>
}

const MOST_BYTES = 64 * 1024 * 1024
/** While there is none at all, it is asked for this often. */
const FIRST_EVERY_MS = 1000

/**
 * Fetches a bundle now and then; a server that knows ETags is asked for a newer one only.
 *
 * What cannot be had or used changes nothing: the bundle of before stays. Redirects are not followed.
 *
 * @param use gets each new bundle, and says what is wrong with it; null: nothing.
 */
export const pollBundle = (
  options: {
    readonly name: string
    readonly url: string
    readonly pollMs: number
    readonly timeoutMs: number
    readonly token: Secret | undefined
    readonly log: Log
  },
  use: (content: Buffer) => string | null,
): PolledBundle => {
  const { name, pollMs, log } = options
  const agent = new Agent({ pipelining: 0, connect: { timeout: options.timeoutMs } })
  const closing = new AbortController()
  let etag: string | null = null
  let hasBundle = false
  let failure: string | null = null
  let reachable: boolean | null = null
  let timer: NodeJS.Timeout | null = null
  const counts = { answers: 0, failures: 0 }

  const fail = (problem: string): void => {
    if (problem !== failure) log.error({ engine: name, problem }, 'the bundle of an engine is not renewed')
    failure = problem
    counts.failures += 1
  }

  const fetchOnce = async (): Promise<void> => {
    const fetched = await fetchBundle(options, etag, agent, closing.signal)
    if (closing.signal.aborted) return
    reachable = !('problem' in fetched)
    if ('problem' in fetched) return fail(fetched.problem)
    counts.answers += 1
    // The one that could not be used is not asked for again before it has changed.
    etag = fetched.etag
    if (fetched.content === null) return
    const problem = use(fetched.content)
    if (problem !== null) return fail(problem)
    failure = null
    hasBundle = true
  }

  const next = (): void => {
    if (closing.signal.aborted) return
    timer = setTimeout(
      () => void fetchOnce().finally(next),
      hasBundle ? pollMs : Math.min(pollMs, FIRST_EVERY_MS),
    )
    timer.unref()
  }

  return {
    first: fetchOnce().finally(next),
    status: () => ({ reachable, failure, breakerOpen: false, ...counts }),
    close: async () => {
      closing.abort()
      if (timer !== null) clearTimeout(timer)
      await agent.destroy()
    },
  }
}

type Fetched =
  | { readonly content: Buffer | null; readonly etag: string | null }
  | { readonly problem: string }

const fetchBundle = async (
  {
    url,
    timeoutMs,
    token,
  }: { readonly url: string; readonly timeoutMs: number; readonly token: Secret | undefined },
  etag: string | null,
  dispatcher: Agent,
  closing: AbortSignal,
): Promise<Fetched> => {
  const signal = AbortSignal.any([closing, AbortSignal.timeout(timeoutMs)])
  try {
    const { statusCode, headers, body } = await request(url, {
      dispatcher,
      signal,
      headers: {
        'user-agent': 'sallyport',
        ...(etag === null ? {} : { 'if-none-match': etag }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token.reveal()}` }),
      },
    })
    if (statusCode !== 200) {
      // What is left of the answer is not read.
      body.on('error', () => undefined).destroy()
      return statusCode === 304 ? { content: null, etag } : { problem: `${url} answered ${statusCode}` }
    }
    const chunks: Buffer[] = []
    let length = 0
    for await (const chunk of body) {
      const bytes = Buffer.from(chunk)
      length += bytes.length
      if (length > MOST_BYTES) return { problem: `${url} answered more than ${MOST_BYTES} bytes` }
      chunks.push(bytes)
    }
    return { content: Buffer.concat(chunks), etag: typeof headers.etag === 'string' ? headers.etag : null }
  } catch (error) {
    const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined
    const why = signal.aborted
      ? `did not answer in ${timeoutMs} ms`
      : `could not be reached (${String(code)})`
    return { problem: `${url} ${why}` }
  }
}
