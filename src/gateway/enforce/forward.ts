import type { Carrier } from '../../core/carrier.ts'
import { corsHeaders } from '../../core/cors.ts'
import type { Exchange, Upgrade } from '../../core/exchange.ts'
import { headerValues } from '../../core/headers.ts'
import type { Log } from '../../core/log.ts'
import { type Refusal, refuse } from '../../core/refusals.ts'
import { UNSUPERVISED } from '../../core/stream.ts'
import type { Passage, Stages } from '../pipeline.ts'
import type { RelayOutcome } from './answer.ts'
import type { Assertion } from './assertion.ts'
import { answerBuiltIn } from './built-ins.ts'
import { callerToken } from './caller-token.ts'
import type { UpstreamConfig } from './config.ts'
import { hasBody } from './hop-by-hop.ts'
import { type RelayOptions, relay, type UpstreamRequest } from './relay.ts'
import { relayBody } from './request-body.ts'
import {
  createRequestHeaders,
  type RequestHeaderAdditions,
  type RequestHeaderRules,
} from './request-headers.ts'
import { isFailure, sendAgain } from './send-again.ts'
import { isCertificateError, isIdempotent, refusalOf, type UpstreamFailure } from './upstream-failure.ts'
import type { Origin, Upstream, Upstreams } from './upstreams.ts'
import { relayUpgrade } from './websocket.ts'

type HeadersOf = ReturnType<typeof createRequestHeaders>

export interface ForwardOptions {
  readonly upstreams: Upstreams
  readonly assertion: Assertion
  /** By the name of their authenticator. */
  readonly carriersByName: ReadonlyMap<string, Carrier>
  readonly headerRules: Omit<RequestHeaderRules, 'forwardCredential'>
  readonly completeTask: (id: string, upstream: string) => void
  readonly log: Log
}

/**
 * Makes the function that sends an allowed request on, and streams the answer back.
 *
 * It gives true when the caller has the answer, or as much of it as there was, and a refusal when nothing was sent
 * to the caller: `upstream_unavailable`, `upstream_timeout`, `internal`, or `audit_unavailable` when the passage's
 * record turns out not to have been kept.
 *
 * Does not check: the decision. Whatever comes here is forwarded.
 */
export const createForward = (options: ForwardOptions): Stages['forward'] => {
  const { upstreams, assertion, headerRules, carriersByName, log } = options
  const withoutCredential = createRequestHeaders({ ...headerRules, forwardCredential: false })
  const withCredential = createRequestHeaders({ ...headerRules, forwardCredential: true })

  /** Sends it once more where that is safe, and says what became of it when nothing was answered. */
  const afterFailure = async (sending: Sending, failed: UpstreamFailure): Promise<true | Refusal> => {
    const { upstream, origin, passage, request } = sending
    const { decisionId, exchange } = passage
    origin.failed(failed)
    const isReplayable = request.body === null || Buffer.isBuffer(request.body)
    const mayRepeat = isReplayable && exchange.upgrade === undefined && isIdempotent(request.method)
    const again = (to: Origin): Promise<RelayOutcome> =>
      send({ ...sending, origin: to, request: sending.requestTo(to) })
    const outcome = await sendAgain(upstream, { origin, failure: failed, decisionId, mayRepeat }, again, log)
    if (!isFailure(outcome)) return outcome
    const message = isCertificateError(outcome.code)
      ? 'the certificate of the upstream is not accepted'
      : 'the upstream did not answer'
    log.warn({ upstream: upstream.name, decisionId, code: outcome.code }, message)
    return refusalOf(outcome, upstream.name)
  }

  return (passage) => {
    const { exchange, accepted, decisionId, record, lease = UNSUPERVISED } = passage
    const { upstream: name, cors } = accepted.route
    const upstream = upstreams.get(name)
    // A plain request waits for its record where it meets its connection, together with others. Whatever goes another
    // way, or lets something else go before it, waits here.
    const isPlain = upstream?.credentials === null && exchange.upgrade === undefined
    const recorded = isPlain ? true : record.settle()
    if (recorded !== true) return recorded
    if (name === '') return answerBuiltIn(passage, assertion.jwks)
    if (upstream === undefined)
      return refuse('enforce', 'internal', `route names upstream ${name}, which is not there`)

    const { config } = upstream
    const token = assertion.of(passage)
    const headersOf = config.forwardCredential ? withCredential : withoutCredential
    const origin = upstream.pick()
    if (origin === null) return unreachable(upstream, decisionId, log)

    const sendWith = (credentials: Shown): Promise<true | Refusal> | Refusal => {
      if (credentials !== null && 'refusal' in credentials) return credentials
      if (passage.bound.body !== null) lease.received(passage.bound.body.length)
      const requestTo = (to: Origin): UpstreamRequest =>
        upstreamRequest(passage, headersOf, hostFor(upstream, to, passage), token, credentials)
      const sending: Sending = {
        passage,
        upstream,
        origin,
        request: requestTo(origin),
        requestTo,
        // Written out: a spread makes V8 a new shape for the object of each request.
        options: {
          decisionId,
          cors: cors === undefined ? null : corsHeaders(cors, exchange.head.headers),
          setCookies: passage.identity?.setCookies ?? [],
          connectionWaitMs: config.maxConnections === undefined ? null : config.connectTimeout,
          stallTimeoutMs: config.stallTimeout,
          record,
          lease,
          task: taskOf(passage, options.completeTask),
          onCut: (code) => log.warn({ upstream: name, decisionId, code }, 'an answer was cut'),
        },
      }
      return send(sending).then((outcome) => (isFailure(outcome) ? afterFailure(sending, outcome) : outcome))
    }
    const shown = showCredentials(upstream, passage, carriersByName)
    return shown instanceof Promise ? shown.then(sendWith) : sendWith(shown)
  }
}

/** A request that is sent to one of an application's origins. */
interface Sending {
  readonly passage: Passage
  readonly upstream: Upstream
  readonly origin: Origin
  readonly request: UpstreamRequest
  /** The same request for another origin. */
  readonly requestTo: (origin: Origin) => UpstreamRequest
  readonly options: RelayOptions
}

const send = ({ passage, upstream, origin, request, options }: Sending): Promise<RelayOutcome> => {
  const { exchange } = passage
  return exchange.upgrade === undefined
    ? relay(origin, request, exchange, options)
    : sendUpgrade(origin, request, exchange, exchange.upgrade, { ...options, config: upstream.config })
}

const unreachable = (upstream: Upstream, decisionId: string, log: Log): Refusal => {
  const code = upstream.latestFailure()
  log.debug({ upstream: upstream.name, decisionId, code }, 'not asked, since no origin can be reached')
  const detail = `upstream ${upstream.name} is not asked, since it cannot be reached: ${code}`
  return refuse('enforce', 'upstream_unavailable', detail)
}

/** What an application may end by its answer: the task of this very request. */
const taskOf = (
  { accepted, bound, lease }: Passage,
  completeTask: ForwardOptions['completeTask'],
): RelayOptions['task'] => {
  const { task } = bound
  if (task === undefined) return undefined
  const complete = (): void => {
    lease?.completesTask()
    completeTask(task.id, accepted.route.upstream)
  }
  return { id: task.id, complete }
}

const sendUpgrade = (
  origin: Origin,
  { target, headers }: UpstreamRequest,
  exchange: Exchange,
  upgrade: Upgrade,
  options: RelayOptions & { readonly config: UpstreamConfig },
): Promise<RelayOutcome> => {
  const { headersTimeout, bodyTimeout = null, maxHeaderBytes } = options.config
  const handshake = { target, headers: [...headers, 'Connection', 'Upgrade', 'Upgrade', 'websocket'] }
  return relayUpgrade(origin, handshake, exchange, upgrade, {
    ...options,
    headersTimeoutMs: headersTimeout,
    bodyTimeoutMs: bodyTimeout,
    maxHeaderBytes,
  })
}

type Shown = { readonly name: string; readonly value: string } | Refusal | null

/** What the application is to be shown; a refusal: nothing may be forwarded, since there is nothing to show. */
const showCredentials = (
  { credentials }: Upstream,
  passage: Passage,
  carriers: ReadonlyMap<string, Carrier>,
): Shown | Promise<Shown> => {
  if (credentials === null) return null
  const settle = (value: string | Refusal): Shown =>
    typeof value === 'string' ? { name: credentials.header, value } : value
  const value = credentials.valueFor(passage, () => callerToken(passage, carriers))
  return value instanceof Promise ? value.then(settle) : settle(value)
}

const hostFor = ({ config }: Upstream, origin: Origin, { accepted }: Passage): string => {
  if (config.host === 'preserve') return accepted.request.authority
  return config.host === 'upstream' ? origin.authority : config.host
}

const upstreamRequest = (
  passage: Passage,
  headersOf: HeadersOf,
  host: string,
  assertion: string | null,
  credentials: NonNullable<RequestHeaderAdditions['credentials']> | null,
): UpstreamRequest => {
  const { exchange, accepted, bound, decisionId, lease = UNSUPERVISED } = passage
  const streamed = bound.body === null && hasBody(exchange.head.headers)
  const contentLength = streamed ? (headerValues(exchange.head.headers, 'content-length')[0] ?? null) : null
  return {
    method: accepted.request.method,
    target: bound.target,
    headers: headersOf(accepted.request, {
      host,
      httpVersion: exchange.head.httpVersion,
      decisionId,
      assertion,
      credentials,
      headers: bound.headers,
      contentLength,
    }),
    body: streamed ? relayBody(exchange.body, (bytes) => lease.received(bytes)) : bound.body,
  }
}
