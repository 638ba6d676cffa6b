import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'
import { request as httpsRequest } from 'node:https'

/** An answer, with the address that it came from. */
export interface Visited {
  readonly url: string
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly setCookies: readonly string[]
  readonly body: string
  /** Where it leads, absolute; null when it leads nowhere. */
  readonly location: string | null
}

export interface VisitOptions {
  readonly method?: string
  /** Of a form; the content type is set. */
  readonly form?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
}

/** What a browser does without its pages: it keeps cookies, asks for pages, and goes where it is sent. */
export interface Visitor {
  /** By host, whatever the port, as browsers keep them. */
  readonly cookies: (url: string) => Map<string, string>
  /** One request, as a page that was typed in. */
  readonly ask: (url: string, options?: VisitOptions) => Promise<Visited>
  /** The same, and on to where the answers lead, until `stop` or an answer that leads nowhere. */
  readonly follow: (
    url: string,
    options?: VisitOptions & { readonly stop?: (location: string) => boolean },
  ) => Promise<Visited>
  /** The same cookies from here on, in another browser. */
  readonly copy: () => Visitor
}

const MOST_STEPS = 20

export const createVisitor = (jars = new Map<string, Map<string, string>>()): Visitor => {
  const cookies = (url: string): Map<string, string> => {
    const { hostname } = new URL(url)
    const jar = jars.get(hostname) ?? new Map<string, string>()
    jars.set(hostname, jar)
    return jar
  }
  const ask: Visitor['ask'] = async (url, options = {}) => {
    const jar = cookies(url)
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const visited = await send(url, { ...(cookie === '' ? {} : { Cookie: cookie }), ...PAGE }, options)
    for (const set of visited.setCookies) keep(jar, set)
    return visited
  }
  return {
    cookies,
    ask,
    follow: async (url, options = {}) => {
      const { stop = () => false, ...first } = options
      let visited = await ask(url, first)
      for (let step = 0; visited.location !== null && !stop(visited.location); step += 1) {
        if (step > MOST_STEPS) throw new Error(`${url} leads round in circles`)
        visited = await ask(visited.location)
      }
      return visited
    },
    copy: () => createVisitor(new Map([...jars].map(([host, jar]) => [host, new Map(jar)]))),
  }
}

const PAGE = {
  Accept: 'text/html,application/xhtml+xml,*/*;q=0.8',
  'Sec-Fetch-Mode': 'navigate',
  'Sec-Fetch-Dest': 'document',
  'Sec-Fetch-Site': 'none',
}

const keep = (jar: Map<string, string>, setCookie: string): void => {
  const [pair = '', ...attributes] = setCookie.split(';')
  const equals = pair.indexOf('=')
  const name = pair.slice(0, equals).trim()
  const gone = attributes.some((attribute) => {
    const [key = '', value = ''] = attribute.trim().toLowerCase().split('=')
    return (key === 'max-age' && Number(value) <= 0) || (key === 'expires' && Date.parse(value) <= Date.now())
  })
  if (gone) jar.delete(name)
  else jar.set(name, pair.slice(equals + 1).trim())
}

const send = (
  url: string,
  own: Readonly<Record<string, string>>,
  { method, form, headers = {} }: VisitOptions,
): Promise<Visited> =>
  new Promise((resolve, reject) => {
    const body = form === undefined ? null : new URLSearchParams(form).toString()
    const asked = {
      method: method ?? (body === null ? 'GET' : 'POST'),
      headers: {
        ...own,
        ...(body === null
          ? {}
          : { 'Content-Type': 'application/x-www-form-urlencoded', 'Content-Length': body.length }),
        ...headers,
      },
    }
    const start = url.startsWith('https:') ? httpsRequest : httpRequest
    const sent = start(url, { ...asked, agent: false, rejectUnauthorized: false }, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('error', reject)
      answer.on('end', () => {
        const { location } = answer.headers
        resolve({
          url,
          status: answer.statusCode ?? 0,
          headers: answer.headers,
          setCookies: answer.headers['set-cookie'] ?? [],
          body: Buffer.concat(chunks).toString('utf8'),
          location: location === undefined ? null : new URL(location, url).href,
        })
      })
    })
    sent.on('error', reject)
    sent.end(body ?? undefined)
  })
