import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AdminConfig } from '../config/configuration.ts'
import { headerValues } from '../core/headers.ts'
import { problem } from './answers.ts'
import type { AdminAnswer, AdminRequest, Endpoint, PlainAnswer } from './endpoint.ts'
import { isOwnOrigin, isRightHost } from './hosts.ts'
import { readJsonBody } from './request-body.ts'
import { createRouter, type Found } from './router.ts'
import { holderOf, type PresentedToken, presentedToken, type TokenHolder } from './tokens.ts'

/** A request as it is told in the log; holds no credential. */
export interface AdminCall {
  readonly method: string
  /** Without the query. */
  readonly path: string
  /** Name of the token; null when it was nobody's. */
  readonly token: string | null
  readonly remoteAddress: string
}

export interface DispatchOptions {
  readonly endpoints: readonly Endpoint[]
  readonly bind: string
  /** Of the configuration that runs now; null: it has no admin port any more. */
  readonly settings: () => AdminConfig | null
  /** Called for each request that was not let through. */
  readonly onRefused: (call: AdminCall, status: number) => void
  /** Called for each request that wanted a token and was let through, before anything is done for it. */
  readonly onCall: (call: AdminCall) => void
}

export type Dispatch = (request: IncomingMessage, response: ServerResponse) => Promise<AdminAnswer>

const NO_TOKEN = problem(401, 'expected Authorization: Bearer with a token of this admin port', [
  'WWW-Authenticate',
  'Bearer realm="sallyport-admin"',
])
const BAD_TOKEN: PlainAnswer = {
  ...problem(401, 'found a token that this admin port does not know'),
  headers: ['WWW-Authenticate', 'Bearer realm="sallyport-admin", error="invalid_token"'],
}
const WRONG_HOST = problem(
  403,
  'found another Host than this admin port has; names that it goes by are listed in admin.hosts',
)
const WRONG_ORIGIN = problem(403, 'found the Origin of a page that is not of this admin port')
const NO_SUCH_PATH = problem(404, 'nothing is here; docs/admin-api.md lists what there is')

/**
 * Makes what finds the endpoint of a request and lets it through only if it may be asked by this caller.
 *
 * Open endpoints come first. For all else: the Host, the Origin, the token, the path, the method, the permission, the
 * body, in this order, so that somebody without a token learns nothing of what is there.
 */
export const createDispatch = (options: DispatchOptions): Dispatch => {
  const { bind, settings, onRefused } = options
  const find = createRouter(options.endpoints)

  const refuse = (request: IncomingMessage, answer: PlainAnswer, token: string | null): PlainAnswer => {
    onRefused(callOf(request, token), answer.status)
    return answer
  }

  /** Who asks, or the answer that he gets instead. */
  const identify = (
    request: IncomingMessage,
  ): { readonly presented: PresentedToken; readonly holder: TokenHolder } | PlainAnswer => {
    const { hosts = [], tokens = [] } = settings() ?? {}
    const arrivedAt = request.socket.localAddress ?? ''
    const given = headerValues(request.rawHeaders, 'host')
    if (!isRightHost(given, { bind, listed: hosts, arrivedAt })) return refuse(request, WRONG_HOST, null)
    if (!isOwnOrigin(headerValues(request.rawHeaders, 'origin'), given[0] ?? '')) {
      return refuse(request, WRONG_ORIGIN, null)
    }
    const fields = headerValues(request.rawHeaders, 'authorization')
    const presented = presentedToken(fields)
    if (presented === null) return refuse(request, fields.length === 0 ? NO_TOKEN : BAD_TOKEN, null)
    const holder = holderOf(presented, tokens)
    return holder === null ? refuse(request, BAD_TOKEN, null) : { presented, holder }
  }

  const isAllowed = (presented: PresentedToken, { permission }: Endpoint): boolean => {
    const holder = holderOf(presented, settings()?.tokens ?? [])
    return holder !== null && (permission === null || holder.may.includes(permission))
  }

  return async (request, response) => {
    const target = request.url ?? ''
    const found = find(request.method ?? '', pathOf(request))
    if (found?.endpoint?.permission === null) {
      return await run(request, response, found.endpoint, found, '', () => true)
    }
    if (found?.isOpen === true) return methodNotAllowed(found)
    const caller = identify(request)
    if ('status' in caller) return caller
    const { presented, holder } = caller
    if (!target.startsWith('/') || found === null) return NO_SUCH_PATH
    const { endpoint } = found
    if (endpoint === null) return methodNotAllowed(found)
    if (!isAllowed(presented, endpoint)) {
      const detail = `the token ${JSON.stringify(holder.name)} may not ${endpoint.permission}: add it to its "may"`
      return refuse(request, problem(403, detail), holder.name)
    }
    options.onCall(callOf(request, holder.name))
    return await run(request, response, endpoint, found, holder.name, () => isAllowed(presented, endpoint))
  }
}

const pathOf = ({ url = '' }: IncomingMessage): string => url.split('?', 1)[0] ?? ''

const callOf = (request: IncomingMessage, token: string | null): AdminCall => ({
  method: request.method ?? '',
  path: pathOf(request),
  token,
  remoteAddress: request.socket.remoteAddress ?? '',
})

const methodNotAllowed = ({ methods }: Found): PlainAnswer =>
  problem(405, `expected ${methods.join(' or ')}`, ['Allow', methods.join(', ')])

const run = async (
  request: IncomingMessage,
  response: ServerResponse,
  endpoint: Endpoint,
  { parameter }: Found,
  caller: string,
  isStillAllowed: () => boolean,
): Promise<AdminAnswer> => {
  const { url = '', headers } = request
  const body = endpoint.method === 'POST' ? await readJsonBody(request) : { value: null }
  if ('status' in body) return body
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  const asked: AdminRequest = {
    parameter,
    query: new URLSearchParams(url.slice(pathOf(request).length)),
    headers,
    body: body.value,
    caller,
    isStillAllowed,
    signal: gone.signal,
  }
  return await endpoint.handle(asked)
}
