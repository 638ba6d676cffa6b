import { AUTHZEN_PATHS } from '../../core/authzen-paths.ts'
import {
  type CanonicalTarget,
  canonicalTarget,
  type PathNeeds,
  type PathOptIns,
  unmetNeed,
} from '../../core/canonical-target.ts'
import type { Clock } from '../../core/clock.ts'
import { type Preflight, preflightMistake, readPreflight } from '../../core/cors.ts'
import type { Dialect } from '../../core/dialect.ts'
import type { RequestHead } from '../../core/exchange.ts'
import type { PeerCertificate } from '../../core/peer-certificate.ts'
import { type Refusal, refuse } from '../../core/refusals.ts'
import type { Accepted, CanonicalRequest, RequestFacts } from '../../core/request.ts'
import type { Route } from '../../core/route.ts'
import { randomUuidV7 } from '../../core/uuid.ts'
import type { RefusedRequest, Stages } from '../pipeline.ts'
import { isReservedPath, JWKS_PATH, JWKS_ROUTE, preflightRoute } from './builtin-route.ts'
import { type CanonicalHost, canonicalHost } from './canonical-host.ts'
import { type Client, isClientMistake } from './client-address.ts'
import { type AcceptListener, createDoor, type Door } from './doors.ts'
import { createHeaderCheck, isHeaderMistake } from './header-checks.ts'
import { postureNames } from './posture.ts'
import { badRequest, describeHead } from './request-facts.ts'
import { splitTarget } from './request-target.ts'
import type { RouteFound, RouteQuestion, RouteTable } from './route-table.ts'
import { readTraceparent } from './trace-context.ts'

export interface AcceptDeps {
  readonly table: RouteTable
  /** By id. */
  readonly listeners: ReadonlyMap<string, AcceptListener>
  /** Lower-case names that Sallyport or a route sets, believes, or takes credentials from. */
  readonly guardedHeaders: ReadonlySet<string>
  /** Lower-case names of what a decision looks at, and of what carries credentials. */
  readonly unrepeatableHeaders?: ReadonlySet<string>
  /** By path: what authenticators answer themselves, and by which methods. */
  readonly endpoints?: ReadonlyMap<string, { readonly route: Route; readonly methods: ReadonlySet<string> }>
  /** Documents that the gateway answers itself on one host, whatever route is for their path. */
  readonly documents?: readonly OwnDocument[]
  /** Takes what no route is for, so that the caller is asked who it is first; null: refused at once. */
  readonly unmatched?: Route | null
  readonly clock: Clock
}

/** A path of one host, and the route that answers it. */
export interface OwnDocument {
  readonly authority: string
  readonly path: string
  readonly route: Route
}

/** What is known once every part of the head has its one spelling. */
interface Parts {
  readonly fields: Pick<CanonicalRequest, 'headers' | 'names'>
  readonly host: CanonicalHost
  readonly client: Client
  readonly target: CanonicalTarget
  readonly certificate: PeerCertificate | null
}

/**
 * Makes the first stage: one spelling of a request, or 400; and its route, or 404.
 *
 * Synchronous. Refusals carry what could be told of the request. Does not check: the body, the credential.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9112#section-3
 */
export const createAccept = (deps: AcceptDeps): Stages['accept'] => {
  const posture = postureNames(deps.listeners.values())
  const checkHeaders = createHeaderCheck(new Set([...deps.guardedHeaders, ...posture]))
  const doors = new Map(
    [...deps.listeners].map(
      ([id, listener]) => [id, createDoor(listener, posture, deps.unrepeatableHeaders)] as const,
    ),
  )
  const unknownDoor = createDoor({ trustedProxies: [] }, posture)

  const readParts = (
    head: RequestHead,
    { readClient, readCertificate, filterPosture }: Door,
    known: Client | null,
  ): Parts | (Refusal & { readonly client?: Client }) => {
    if (head.method === 'CONNECT') return badRequest('a method that is not proxied')
    const checked = checkHeaders(head.headers, head.httpVersion)
    if (isHeaderMistake(checked)) return badRequest(checked.mistake)
    const host = canonicalHost(checked.host)
    if (host === null) return badRequest('an invalid Host header')
    const { remoteAddress, tls, headers } = head
    const client = known ?? readClient({ remoteAddress, tls, headers, names: checked.names })
    if (isClientMistake(client)) return refuse('accept', 'bad_request', client.mistake)
    const certificate = readCertificate({
      remoteAddress,
      headers,
      names: checked.names,
      peerCertificate: head.peerCertificate ?? null,
    })
    if (certificate !== null && isClientMistake(certificate)) {
      return refuse('accept', 'bad_request', certificate.mistake)
    }
    const target = readTarget(head.target, host)
    if ('reason' in target) return { ...badRequest(target.reason, true), client }
    const fields = filterPosture({ headers, names: checked.names }, remoteAddress)
    return { fields, host: client.host ?? host, client, target, certificate }
  }

  const read = (
    head: RequestHead,
    door: Door,
    client: Client | null,
    arrival = head,
  ): Accepted | RefusedRequest => {
    const parts = readParts(head, door, client)
    if ('refusal' in parts)
      return refusedWith(parts, describeHead(head, deps.clock), parts.client ?? client ?? undefined)
    const request = makeRequest(head, parts, arrival, deps.clock)
    if (door.authzen !== null) return chooseAuthzen(request, door.authzen)
    return door.dialect === 'proxy'
      ? chooseRoute(deps, request, parts)
      : chooseAskedRoute(deps, request, parts, door.dialect)
  }

  return (head) => {
    const door = doors.get(head.listener) ?? unknownDoor
    if (door.described === null) return read(head, door, null)
    const described = door.described(head)
    if ('refusal' in described) return refusedWith(described, describeHead(head, deps.clock))
    return read(described.head, door, described.client, head)
  }
}

const readTarget = (target: string, host: CanonicalHost): CanonicalTarget | { readonly reason: string } => {
  const parts = splitTarget(target)
  if (parts === null) return { reason: 'a target that is neither a path nor a URL of its Host' }
  if (parts.authority !== null && parts.authority.authority !== host.authority) {
    return { reason: 'a target whose authority is not its Host' }
  }
  return canonicalTarget(parts.origin)
}

const makeRequest = (
  head: RequestHead,
  { fields, host, client, target, certificate }: Parts,
  arrival: RequestHead,
  clock: Clock,
): CanonicalRequest => {
  const receivedAtMs = clock.nowMs()
  const traceparent = readTraceparent(fields.headers, fields.names) ?? undefined
  const { path, query } = target
  return {
    id: randomUuidV7(receivedAtMs),
    method: head.method,
    host: host.host,
    path,
    ip: client.ip,
    receivedAtMs,
    traceparent,
    scheme: client.scheme,
    authority: host.authority,
    query,
    target: query === '' ? path : path + query,
    originalTarget: head.target,
    headers: fields.headers,
    names: fields.names,
    tls: client.scheme === 'https',
    remoteAddress: head.remoteAddress,
    peerCertificate: certificate,
    arrival,
  }
}

const NO_OPT_INS: PathOptIns = { allowEncodedSlash: false, allowPathParameters: false }

const questionOf = (request: CanonicalRequest, { port }: CanonicalHost): RouteQuestion => {
  const { method, host, path, query, headers, names, scheme } = request
  return { method, host, port: port === '' ? DEFAULT_PORTS[scheme] : port, path, query, headers, names }
}

const chooseRoute = (
  deps: AcceptDeps,
  request: CanonicalRequest,
  { host, target }: Parts,
): Accepted | RefusedRequest => {
  const { table, endpoints = NO_ENDPOINTS, documents } = deps
  const { method, path, headers } = request
  if (isReservedPath(path)) return chooseBuiltin(request, target.needs, endpoints)
  const document = documents === undefined ? undefined : ownDocument(documents, request)
  if (document !== undefined) return { request, route: document.route, path: NO_CAPTURES }
  const question = questionOf(request, host)
  const preflight = readPreflight(method, headers)
  const asked = preflight === null ? null : table.find({ ...question, method: preflight.method })
  if (preflight !== null && asked !== null && 'route' in asked && asked.route.cors !== undefined) {
    return answerPreflight(request, asked, preflight, target.needs)
  }
  return matchRoute(deps, request, target.needs, question)
}

const chooseAuthzen = (request: CanonicalRequest, route: Route): Accepted | RefusedRequest => {
  const { path, method } = request
  const accepted = { request, path: NO_CAPTURES, dialect: 'authzen' } as const
  if (path === AUTHZEN_PATHS.metadata && method === 'GET')
    return { ...accepted, route: { ...route, access: 'public', authenticate: [] } }
  const isQuestion = path === AUTHZEN_PATHS.evaluation || path === AUTHZEN_PATHS.evaluations
  return isQuestion && method === 'POST' ? { ...accepted, route } : refusedWith(NO_ROUTE, request)
}

const ownDocument = (
  documents: readonly OwnDocument[],
  { method, path, authority }: CanonicalRequest,
): OwnDocument | undefined => {
  // They are all below `/.well-known/`.
  if (path.charCodeAt(1) !== 0x2e || (method !== 'GET' && method !== 'HEAD')) return undefined
  return documents.find((each) => each.path === path && each.authority === authority.toLowerCase())
}

/** What the gateway answers itself is not here: an allow would send it to the application. */
const chooseAskedRoute = (
  deps: AcceptDeps,
  request: CanonicalRequest,
  { host, target }: Parts,
  dialect: Dialect,
): Accepted | RefusedRequest => {
  if (isReservedPath(request.path)) return refusedWith(NO_ROUTE, request)
  const accepted = matchRoute(deps, request, target.needs, questionOf(request, host))
  return 'refusal' in accepted ? accepted : { ...accepted, dialect }
}

const matchRoute = (
  { table, unmatched = null }: AcceptDeps,
  request: CanonicalRequest,
  needs: PathNeeds,
  question: RouteQuestion,
): Accepted | RefusedRequest => {
  const found = table.find(question)
  if (found !== null && 'ambiguous' in found) return refusedWith(badRequest(found.ambiguous, true), request)
  const need = unmetNeed(needs, found?.optIns ?? NO_OPT_INS)
  if (need !== null) return refusedWith(badRequest(need, true), request)
  if (found === null && unmatched !== null) return { request, route: unmatched, path: NO_CAPTURES }
  if (found === null) return refusedWith(NO_ROUTE, request)
  return { request, route: found.route, path: found.path }
}

/** Browsers send no credentials with a preflight, so nobody can be asked who they are. */
const answerPreflight = (
  request: CanonicalRequest,
  { route, optIns }: RouteFound,
  preflight: Preflight,
  needs: PathNeeds,
): Accepted | RefusedRequest => {
  const need = unmetNeed(needs, optIns)
  if (need !== null) return refusedWith(badRequest(need, true), request)
  const mistake = route.cors === undefined ? null : preflightMistake(route.cors, preflight)
  if (mistake !== null) return refusedWith(refuse('accept', 'denied', mistake), request)
  return { request, route: preflightRoute(route), path: NO_CAPTURES }
}

const DEFAULT_PORTS = { http: '80', https: '443' } as const

export const NO_ROUTE = refuse('accept', 'no_route', 'no route fits host, path, method and conditions')

const NO_CAPTURES: Readonly<Record<string, string>> = Object.freeze(Object.create(null))

const NO_ENDPOINTS: NonNullable<AcceptDeps['endpoints']> = new Map()

const chooseBuiltin = (
  request: CanonicalRequest,
  needs: PathNeeds,
  endpoints: NonNullable<AcceptDeps['endpoints']>,
): Accepted | RefusedRequest => {
  const need = unmetNeed(needs, NO_OPT_INS)
  if (need !== null) return refusedWith(badRequest(need, true), request)
  const { path, method } = request
  if (path === JWKS_PATH && (method === 'GET' || method === 'HEAD')) {
    return { request, route: JWKS_ROUTE, path: NO_CAPTURES }
  }
  const endpoint = endpoints.get(path)
  if (endpoint?.methods.has(method)) return { request, route: endpoint.route, path: NO_CAPTURES }
  return refusedWith(NO_ROUTE, request)
}

const refusedWith = (refusal: Refusal, facts: RequestFacts, client?: Client): RefusedRequest => {
  const { id, method, path, receivedAtMs, traceparent } = facts
  return {
    refusal: refusal.refusal,
    stage: refusal.stage,
    detail: refusal.detail,
    ...(refusal.publicDetail === undefined ? {} : { publicDetail: refusal.publicDetail }),
    ...(refusal.headers === undefined ? {} : { headers: refusal.headers }),
    ...(refusal.elsewhere === undefined ? {} : { elsewhere: refusal.elsewhere }),
    // Copied one by one: a whole request holds the caller's credentials, which a refusal has no use for.
    request: {
      id,
      method,
      path,
      receivedAtMs,
      host: client?.host?.host ?? facts.host,
      ip: client?.ip ?? facts.ip,
      ...(traceparent === undefined ? {} : { traceparent }),
    },
  }
}
