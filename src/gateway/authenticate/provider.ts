import { type Agent, request } from 'undici'
import { isLoopback } from '../../core/loopback.ts'

/** How to reach an identity provider. */
export interface ProviderClient {
  readonly agent: Agent
  /** For the whole answer, connecting included. */
  readonly timeoutMs: number
  /** Allows plain `http` to other machines. */
  readonly insecure: boolean
}

const MOST_BYTES = 1024 * 1024

/** A form to send. */
export interface ProviderForm {
  readonly parameters: Readonly<Record<string, string>>
  readonly headers: Readonly<Record<string, string>>
}

/**
 * Fetches one JSON document.
 *
 * Anything but a prompt 200 with JSON of at most 1 MiB is a failure; redirects are not followed.
 *
 * @param form what to send by POST; default nothing, by GET.
 * @returns the document, or for operators what went wrong. Never throws for what the other side does.
 */
export const fetchJson = async (
  url: string,
  client: ProviderClient,
  signal: AbortSignal,
  form: ProviderForm | null = null,
): Promise<{ readonly json: unknown } | { readonly failure: string }> => {
  const controller = new AbortController()
  const abort = () => controller.abort()
  const timer = setTimeout(abort, client.timeoutMs)
  signal.addEventListener('abort', abort, { once: true })
  try {
    const text = await settled(fetchText(url, client.agent, controller.signal, form), controller.signal)
    if (typeof text !== 'string') return { failure: `${url} ${text.failure}` }
    return parse(url, text)
  } catch (error) {
    const why = controller.signal.aborted ? `did not answer in ${client.timeoutMs} ms` : reasonOf(error)
    return { failure: `${url} ${why}` }
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', abort)
  }
}

/** Null when the address is fit for keys: `https`, or `http` to this machine, or `insecure`. */
export const transportProblem = (url: string, insecure: boolean): string | null => {
  if (!URL.canParse(url)) return 'it is not a URL'
  const { protocol, hostname } = new URL(url)
  if (protocol === 'https:') return null
  if (protocol !== 'http:') return 'it is neither https nor http'
  return insecure || isLoopback(hostname) ? null : 'it is plain http to another machine'
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

const fetchText = async (
  url: string,
  dispatcher: Agent,
  signal: AbortSignal,
  form: ProviderForm | null,
): Promise<string | { readonly failure: string }> => {
  const headers = { accept: 'application/json', 'user-agent': 'sallyport', ...form?.headers }
  const { statusCode, body } = await request(url, {
    dispatcher,
    signal,
    ...(form === null
      ? { headers }
      : {
          method: 'POST',
          headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' },
          body: new URLSearchParams(form.parameters).toString(),
        }),
  })
  if (statusCode !== 200) {
    // What is left of a refused answer is not read, so its connection cannot be used again.
    body.on('error', () => {}).destroy()
    return { failure: `answered ${statusCode}` }
  }
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body) {
    const bytes = Buffer.from(chunk)
    length += bytes.length
    if (length > MOST_BYTES) return { failure: `answered more than ${MOST_BYTES} bytes` }
    chunks.push(bytes)
  }
  return Buffer.concat(chunks).toString('utf8')
}

const parse = (url: string, text: string): { readonly json: unknown } | { readonly failure: string } => {
  try {
    return { json: JSON.parse(text) }
  } catch {
    return { failure: `${url} did not answer JSON` }
  }
}

const reasonOf = (error: unknown): string => {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'no code'
  return `could not be reached (${code})`
}
