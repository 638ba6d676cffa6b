import type { RecordedRequest } from '../support/backend.ts'

/*
 * How a simple application would read the bytes that it gets. Written without a look at the gateway's own
 * parsers, so that a mistake in those is not made here too.
 */

/** What an application makes of one request. */
export interface Reading {
  readonly method: string
  /** In lower case, without the port. */
  readonly hostname: string
  readonly path: string
  readonly query: string
  /** Null on the one public route. */
  readonly resources: readonly string[] | null
  readonly route: string
}

/** One spelling: what need not be encoded is not, and the rest is in upper case. */
export const spellOnce = (text: string): string =>
  text.replace(/%[0-9a-f]{2}/gi, (octet) => {
    const character = String.fromCharCode(Number.parseInt(octet.slice(1), 16))
    return /[A-Za-z0-9._~-]/.test(character) ? character : octet.toUpperCase()
  })

/** What is wrong with a target that an application gets; empty when nothing is. */
export const oddities = (target: string): readonly string[] => {
  const [path = '', ...queries] = target.split('?')
  const segments = path.split('/').slice(1)
  const isBlob = path.startsWith('/blobs/')
  const found = (what: string, is: boolean): readonly string[] => (is ? [what] : [])
  return [
    ...found('is not spelled in the one way', spellOnce(target) !== target),
    ...found('does not start with a slash', !target.startsWith('/')),
    ...found('holds what is not printable ASCII', /[^\x21-\x7e]/.test(target)),
    ...found('has a fragment or a backslash', /[#\\]/.test(target) || /%5C|%23/.test(path)),
    ...found('has an invalid percent-encoding', /%(?![0-9A-F]{2})/.test(target)),
    ...found(
      'has a control character',
      /%[01][0-9A-F]|%7F|%C2%[89]/.test(path) || /%00/.test(queries.join('?')),
    ),
    ...found('has an encoded question mark in its path', path.includes('%3F')),
    ...found('can be decoded twice', /%25[0-9A-Fa-f]{2}/.test(path)),
    ...found('has an empty segment', segments.slice(0, -1).includes('')),
    ...found(
      'has a dot segment',
      segments.flatMap((segment) => segment.split('%2F')).some((s) => /^\.\.?(?:;|%3B|$)/.test(s)),
    ),
    ...found('has a slash or a semicolon that is no route of its', !isBlob && /%2F|%3B|;/.test(path)),
  ]
}

/** Every value that some parser could read for a key, all of which must be the same. */
const agreed = (values: readonly string[]): string => {
  const different = new Set(values)
  const [only] = different
  if (only === undefined || different.size > 1) throw new Error(`read ${JSON.stringify([...different])}`)
  return only
}

const queryValue = (text: string, key: string): string => {
  const isKey = (name: string): boolean => name.toLowerCase() === key
  const bothSeparators = text.split(/[&;]/).map((pair) => pair.split('='))
  return agreed([
    ...[...new URLSearchParams(text)].filter(([name]) => isKey(name)).map(([, value]) => value),
    ...bothSeparators
      .filter(([name = '']) => isKey(decodeURIComponent(name)))
      .map(([, ...value]) => decodeURIComponent(value.join('=').replaceAll('+', ' '))),
  ])
}

const jsonValue = (bytes: Buffer, key: string): string => {
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  const isKey = (name: string): boolean => name.toLowerCase() === key
  // A parser keeps one of two equal keys, so the text is looked through too, without what is inside of it.
  let flat = text.trim().slice(1, -1)
  for (let before = ''; before !== flat; ) {
    before = flat
    flat = flat.replace(/[{[][^{}[\]]*[}\]]/g, '0')
  }
  const written = [...flat.matchAll(/("(?:[^"\\]|\\.)*")\s*:\s*("(?:[^"\\]|\\.)*"|[^\s,]+)/g)]
  return agreed([
    ...Object.entries(JSON.parse(text))
      .filter(([name]) => isKey(name))
      .map(([, value]) => String(value)),
    ...written
      .filter(([, name = '']) => isKey(JSON.parse(name)))
      .map(([, , value = '']) => String(JSON.parse(value))),
  ])
}

const bodyValue = (request: RecordedRequest, key: string): string => {
  const type = agreed(request.header('content-type')).toLowerCase()
  return type.includes('json')
    ? jsonValue(request.body, key)
    : queryValue(new TextDecoder('utf-8', { fatal: true }).decode(request.body), key)
}

/** As servers that make variables of headers see names. */
export const folded = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, '-')

/** Every value of a header, also of one whose name some take for it. */
export const foldedValues = (request: RecordedRequest, name: string): readonly string[] =>
  request.headerLines
    .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)] as const)
    .filter(([lineName]) => folded(lineName) === name)
    .map(([, value]) => value.trim())

const decoded = (segment: string): string =>
  /%2F|%3B|;/.test(segment) ? segment : decodeURIComponent(segment)

const resourcesOf = (
  request: RecordedRequest,
  hostname: string,
  path: string,
  query: string,
): Pick<Reading, 'route' | 'resources'> => {
  const [first = '', second = '', third, ...more] = path
    .replace(/(?<=.)\/$/, '')
    .split('/')
    .slice(1)
  const rest = path
    .replace(/(?<=.)\/$/, '')
    .split('/')
    .map(decoded)
  const method = request.requestLine.split(' ')[0] ?? ''
  const reads = method === 'GET' || method === 'HEAD'
  if (hostname.endsWith('.pages.test')) {
    return { route: 'page', resources: [`Page::${hostname}/${rest.slice(1).join('/')}`] }
  }
  if (hostname !== 'city.test') throw new Error(`${hostname} is not of this city`)
  if (first === 'files') return { route: 'file', resources: [`File::${rest.slice(2).join('/')}`] }
  if (first === 'blobs' && third === undefined)
    return { route: 'blob', resources: [`Blob::${decoded(second)}`] }
  if (first === 'accounts' && third === 'transfers' && more.length === 0 && method === 'POST') {
    const to = bodyValue(request, 'to')
    return { route: 'transfer', resources: [`Account::${decoded(second)}`, `Account::${to}`] }
  }
  if (!reads) throw new Error(`nothing here is for ${method}`)
  if (first === 'v2' && second === 'things' && third !== undefined && more.length === 0) {
    return { route: 'moved', resources: [`Thing::${decoded(third)}`] }
  }
  if (first === 'accounts' && third === undefined) {
    return { route: 'account', resources: [`Account::${decoded(second)}`] }
  }
  if (second !== '') throw new Error(`nothing is at ${path}`)
  if (first === 'health') return { route: 'health', resources: null }
  if (first === 'search') return { route: 'search', resources: [`Query::${queryValue(query.slice(1), 'q')}`] }
  if (first === 'tenant') {
    const tenant = agreed(foldedValues(request, 'x-tenant'))
    return { route: 'tenant', resources: [`Tenant::${Buffer.from(tenant, 'latin1').toString('utf8')}`] }
  }
  throw new Error(`nothing is at ${path}`)
}

/** Reads a request as the application would; throws where two applications could read two things. */
export const read = (request: RecordedRequest): Reading => {
  const [method = '', target = '', version, ...others] = request.requestLine.split(' ')
  if (version !== 'HTTP/1.1' || others.length > 0)
    throw new Error(`the request line is ${request.requestLine}`)
  const hostname = agreed(foldedValues(request, 'host')).replace(/:\d+$/, '')
  const queryAt = target.indexOf('?')
  const path = queryAt === -1 ? target : target.slice(0, queryAt)
  const query = queryAt === -1 ? '' : target.slice(queryAt)
  return { method, hostname, path, query, ...resourcesOf(request, hostname, path, query) }
}
