import { type IncomingMessage, request } from 'node:http'
import type { Answer } from './walkthrough-send.ts'
import type { StepRequest } from './walkthrough-steps.ts'

/** Takes a step as the browser of that person would. */
export type Browse = (who: string, step: StepRequest, signal: AbortSignal) => Promise<Answer>

const DEADLINE_MS = 10_000
const MOST_HOPS = 10
const SIGN_OUT = '/.sallyport/logout'

const AS_A_PAGE = {
  Accept: 'text/html,application/xhtml+xml;q=0.9,*/*;q=0.8',
  'Sec-Fetch-Dest': 'document',
  'Sec-Fetch-Mode': 'navigate',
  'Sec-Fetch-Site': 'none',
}

/** Cookies by their name, of the gateway's host alone: the provider of the demo sets none. */
type Jar = Map<string, string>

interface Page {
  readonly url: URL
  readonly response: IncomingMessage
  readonly body: string
}

/**
 * Makes browsers, one for each person: they keep cookies, follow redirects, and sign in where they are asked to.
 *
 * They run no script and connect to this machine only.
 *
 * @param base of the gateway, such as `http://localhost:8080`.
 */
export const createBrowsers = (base: URL): Browse => {
  const jars = new Map<string, Jar>()
  return async (who, step, signal) => {
    const jar: Jar = jars.get(who) ?? new Map()
    jars.set(who, jar)
    const startedMs = performance.now()
    const visit = (url: URL, form: string | null): Promise<Page> => fetchPage(url, form, jar, base, signal)
    const isOut = step.signsOutFirst === true
    if (isOut) await visit(new URL(SIGN_OUT, base), null)
    let page = await visit(new URL(step.path, base), null)
    for (let hops = 0; hops < MOST_HOPS && !isOut; hops += 1) {
      const { url, response } = page
      const { location } = response.headers
      if (location !== undefined) page = await visit(new URL(location, url), null)
      else if (url.host !== base.host) page = await visit(url, `login=${who}`)
      else break
    }
    return answerOf(page, performance.now() - startedMs)
  }
}

const answerOf = ({ response, body }: Page, tookMs: number): Answer => {
  const decisionId = response.headers['sallyport-decision-id']
  return {
    status: response.statusCode ?? 0,
    reason: response.statusMessage ?? '',
    decisionId: typeof decisionId === 'string' ? decisionId : null,
    body,
    tookMs,
  }
}

/** @param form null to get a page, else what its form sends. */
const fetchPage = (url: URL, form: string | null, jar: Jar, base: URL, signal: AbortSignal): Promise<Page> =>
  new Promise((resolve, reject) => {
    const isOfGateway = url.host === base.host
    const cookies = isOfGateway ? [...jar].map(([name, value]) => `${name}=${value}`).join('; ') : ''
    const sent = request({
      agent: false,
      host: '127.0.0.1',
      port: url.port,
      method: form === null ? 'GET' : 'POST',
      path: `${url.pathname}${url.search}`,
      headers: {
        Host: url.host,
        ...AS_A_PAGE,
        ...(cookies === '' ? {} : { Cookie: cookies }),
        ...(form === null ? {} : { 'Content-Type': 'application/x-www-form-urlencoded' }),
      },
      signal: AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]),
    })
    sent.on('error', reject)
    sent.on('response', (response) => {
      if (isOfGateway) keepCookies(response.headers['set-cookie'] ?? [], jar)
      readText(response).then((body) => resolve({ url, response, body }), reject)
    })
    sent.end(form ?? undefined)
  })

const keepCookies = (lines: readonly string[], jar: Jar): void => {
  for (const line of lines) {
    const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
    if (/;\s*max-age=0\b/i.test(line)) jar.delete(name)
    else jar.set(name, value)
  }
}

const readText = async (response: IncomingMessage): Promise<string> => {
  let text = ''
  for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>) text += chunk
  return text
}
