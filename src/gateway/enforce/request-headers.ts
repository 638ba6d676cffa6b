import type { Carrier } from '../../core/carrier.ts'
import type { CanonicalRequest } from '../../core/request.ts'
import { cutCookies } from './cookies.ts'
import { HOP_BY_HOP, listHas, namedByConnection } from './hop-by-hop.ts'

/** What decides which of the caller's fields reach an application. */
export interface RequestHeaderRules {
  /** The carriers of all configured authenticators. */
  readonly carriers: readonly Carrier[]
  /** Lower-case names of every field that any route sets. */
  readonly controlledHeaders: ReadonlySet<string>
  /** Lower-case names that a match or a mapping reads: `Connection` cannot take them away after the decision. */
  readonly decidedHeaders: ReadonlySet<string>
  /** Leaves the carriers in. */
  readonly forwardCredential: boolean
}

/** What the gateway says to the application, besides what the caller said. */
export interface RequestHeaderAdditions {
  readonly host: string
  readonly httpVersion: '1.0' | '1.1'
  readonly decisionId: string
  readonly assertion: string | null
  /** What the application is shown by the gateway, in place of such a field of the caller or the route. */
  readonly credentials?: { readonly name: string; readonly value: string } | null
  /** What the route sets; flat name, value pairs. */
  readonly headers: readonly string[]
  /** Null: the field is left to the transport, as the body's bytes are known. */
  readonly contentLength: string | null
}

/** Fields by which applications and frameworks are told something else than what was authorised. */
export const MISLEADING: readonly string[] = [
  ...['client-cert', 'client-cert-chain'],
  ...['proxy', 'true-client-ip', 'x-http-method', 'x-http-method-override', 'x-method-override'],
  ...['x-original-url', 'x-real-ip', 'x-rewrite-url'],
]

const AFRESH = ['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto']

/** Fields that are set again, or consumed. */
const OURS = [...AFRESH, 'content-length', 'expect', 'host', 'trailer']

/**
 * Makes the function that turns a caller's fields into those that an application gets.
 *
 * Spelling, order and repetition of what remains stay as they were; what the gateway sets comes after it.
 */
export const createRequestHeaders = (
  rules: RequestHeaderRules,
): ((request: CanonicalRequest, additions: RequestHeaderAdditions) => string[]) => {
  const dropped = new Set([...HOP_BY_HOP, ...MISLEADING, ...OURS, ...rules.controlledHeaders])
  const cookies = new Set<string>()
  if (!rules.forwardCredential) {
    for (const carrier of rules.carriers) {
      if (carrier.kind === 'authorization') dropped.add('authorization').add('dpop')
      if (carrier.kind === 'header') dropped.add(carrier.name.toLowerCase())
      if (carrier.kind === 'cookie') cookies.add(carrier.name)
    }
  }
  const kept = new Set([...rules.decidedHeaders, ...rules.controlledHeaders])

  const routesSetOurs = AFRESH.some((name) => rules.controlledHeaders.has(name))

  const isDropped = (name: string): boolean =>
    dropped.has(name) || name.startsWith('sallyport-') || name.startsWith('x-forwarded-')

  return (request, additions) => {
    const { headers, names } = request
    const named = namedByConnection(valuesAt(request, 'connection'), kept)
    const out: string[] = []
    const replaced = additions.credentials?.name.toLowerCase() ?? null
    for (let index = 0; index < names.length; index += 1) {
      const name = names[index] ?? ''
      if (isDropped(name) || named.has(name) || isAlias(name, isDropped)) continue
      if (name === replaced || (replaced !== null && isAlias(name, (plain) => plain === replaced))) continue
      const value = headers[2 * index + 1] ?? ''
      const passed = name === 'cookie' ? cutCookies(value, cookies) : value
      if (passed !== null) out.push(headers[2 * index] ?? name, passed)
    }
    // Response trailers pass, so an application that waits for this before it sends them may be told so.
    if (valuesAt(request, 'te').some((value) => listHas(value, 'trailers'))) out.push('TE', 'trailers')
    return addOurs(out, request, additions, routesSetOurs)
  }
}

/** Servers that make variables of headers cannot tell `X_Real_IP` or `X.Real.IP` from `X-Real-IP`. */
const isAlias = (name: string, isDropped: (name: string) => boolean): boolean =>
  (name.includes('_') || name.includes('.')) && isDropped(name.replace(/[_.]/g, '-'))

const valuesAt = ({ headers, names }: CanonicalRequest, lowerName: string): readonly string[] => {
  let index = names.indexOf(lowerName)
  if (index === -1) return []
  const values: string[] = []
  for (; index !== -1; index = names.indexOf(lowerName, index + 1)) values.push(headers[2 * index + 1] ?? '')
  return values
}

const addOurs = (
  out: string[],
  request: CanonicalRequest,
  additions: RequestHeaderAdditions,
  routesSetOurs: boolean,
): string[] => {
  const { ip, scheme, authority } = request
  out.push('Host', additions.host)
  if (additions.contentLength !== null) out.push('Content-Length', additions.contentLength)
  // What the route says itself comes once, and from the route.
  const set = routesSetOurs ? namesOf(additions.headers) : NOTHING
  const add = (name: string, lowerName: string, value: string): void => {
    if (!set.has(lowerName)) out.push(name, value)
  }
  add('X-Forwarded-For', 'x-forwarded-for', ip)
  add('X-Forwarded-Proto', 'x-forwarded-proto', scheme)
  add('X-Forwarded-Host', 'x-forwarded-host', authority)
  add('Forwarded', 'forwarded', forwarded(ip, authority, scheme))
  add('Via', 'via', VIA[additions.httpVersion])
  out.push('Sallyport-Decision-Id', additions.decisionId)
  if (additions.assertion !== null) out.push('Sallyport-Assertion', additions.assertion)
  const { credentials = null } = additions
  for (let index = 0; index < additions.headers.length; index += 2) {
    const name = additions.headers[index] ?? ''
    if (credentials !== null && name.toLowerCase() === credentials.name.toLowerCase()) continue
    out.push(name, additions.headers[index + 1] ?? '')
  }
  if (credentials !== null) out.push(credentials.name, credentials.value)
  return out
}

const NOTHING: ReadonlySet<string> = new Set()

const VIA = { '1.0': '1.0 sallyport', '1.1': '1.1 sallyport' } as const

const namesOf = (pairs: readonly string[]): ReadonlySet<string> =>
  new Set(pairs.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase()))

/** @see https://www.rfc-editor.org/rfc/rfc7239#section-4 */
const forwarded = (ip: string, authority: string, scheme: string): string =>
  `for=${ip.includes(':') ? `"[${ip}]"` : quoted(ip)};host=${quoted(authority)};proto=${scheme}`

const TOKEN = /^[!#$%&'*+.^_`|~0-9a-z-]+$/i

const quoted = (text: string): string =>
  TOKEN.test(text) ? text : `"${text.replace(/["\\]/g, (character) => `\\${character}`)}"`
