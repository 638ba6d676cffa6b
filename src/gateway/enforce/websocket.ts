import { Agent, type ClientRequest, type IncomingMessage, type InformationEvent } from 'node:http'
import type { Duplex } from 'node:stream'
import httpProxy from 'http-proxy'
import type { Exchange, Upgrade } from '../../core/exchange.ts'
import type { HeaderPairs } from '../../core/headers.ts'
import { headerValues } from '../../core/headers.ts'
import { isRefusal } from '../../core/refusals.ts'
import { type Answer, type AnswerOptions, type Asker, createAnswer, type RelayOutcome } from './answer.ts'
import { addCookies, responseHeaders } from './response-headers.ts'
import { createTunnelEnd } from './tunnel-end.ts'
import { BAD_ANSWER } from './upstream-failure.ts'
import type { Origin } from './upstreams.ts'
import { watchSwitch } from './watch-switch.ts'

/** A handshake as an application gets it. */
export interface UpgradeRequest {
  /** Path and query, byte for byte. */
  readonly target: string
  readonly headers: HeaderPairs
}

export interface UpgradeOptions extends AnswerOptions {
  readonly headersTimeoutMs: number
  /** How long an answer that is no switch may pause; null: for ever. */
  readonly bodyTimeoutMs: number | null
  readonly maxHeaderBytes: number
}

/** The handshake that http-proxy has made of it, and what else than a switch came for an answer. */
interface Made {
  request: ClientRequest | null
  response: IncomingMessage | null
}

/** What `ws()` reads of a request; the rest is set on what it makes of it. */
const SEED = { method: 'GET', url: '/', headers: { connection: 'Upgrade', upgrade: 'websocket' } }
const NOTHING = Buffer.alloc(0)

/**
 * Sends a WebSocket handshake on, and joins the two connections when the application agrees.
 *
 * Any other answer than `101` for WebSocket goes to the caller as it is. http-proxy does what it does well, and no
 * more (docs/adr/0006): the path is set again byte for byte, the fields with their repetition; the answer's head is
 * ours, and so is the end of each connection.
 *
 * @returns as `relay()`; true as soon as the tunnel is open.
 * Does not check: `Sec-WebSocket-Accept`, which is between the caller and the application.
 */
export const relayUpgrade = (
  origin: Origin,
  request: UpgradeRequest,
  exchange: Exchange,
  upgrade: Upgrade,
  options: UpgradeOptions,
): Promise<RelayOutcome> =>
  new Promise((resolve, reject) => {
    const end = createTunnelEnd(options)
    const made: Made = { request: null, response: null }
    let waiting: NodeJS.Timeout | undefined
    let stopWatching = (): void => undefined
    let leave = (): unknown => undefined
    let finished = false

    const finish = (outcome: RelayOutcome | Error): void => {
      if (finished) return
      finished = true
      clearTimeout(waiting)
      stopWatching()
      answer.dispose()
      leave()
      if (outcome instanceof Error) reject(outcome)
      // Nothing is sent before there is a connection.
      else if (waiting === undefined && outcome !== true && !isRefusal(outcome))
        resolve({ ...outcome, unsent: true })
      else resolve(outcome)
    }
    const abandon = (): void => {
      end.stream.destroy()
      made.request?.destroy()
    }
    const onCallerGone = (): void => {
      finish(true)
      abandon()
    }
    const giveUp = (code: string): void => {
      finish({ code, answered: true })
      abandon()
    }
    const asker: Asker = {
      requestMethod: 'GET',
      isResetting: () => false,
      finish,
      isFinished: () => finished,
      pause: () => made.response?.pause(),
      resume: () => made.response?.resume(),
      abort: () => made.request?.destroy(),
    }
    const answer = createAnswer(exchange, options, asker)
    const onError = (error: Error): void => {
      if (made.request !== null) answer.failed(error)
      abandon()
    }

    leave = exchange.onGone(onCallerGone)
    if (finished) return
    options.lease.onCut((refusal) => {
      if (finished) return
      answer.revoke(refusal)
      abandon()
    })
    if (finished) return
    const proxy = createProxy(origin, options)
    proxy.on('proxyReqWs', (created) => {
      made.request = created
      setHead(created, request)
      created.once('socket', (socket) => {
        stopWatching = watchSwitch(socket, () => giveUp(BAD_ANSWER))
        waiting = setTimeout(() => giveUp('UND_ERR_HEADERS_TIMEOUT'), options.headersTimeoutMs)
      })
      created.on('information', (head) => passHint(head, answer))
    })
    try {
      // The types want a whole request, of which only these are read.
      proxy.ws(SEED as unknown as IncomingMessage, end.stream, NOTHING, undefined, onError)
    } catch (bug) {
      return finish(bug instanceof Error ? bug : new Error(String(bug)))
    }
    const sent = made.request
    if (sent === null) return finish(new Error('http-proxy made no request'))
    // After its own listeners: what they have done by then is undone, or goes nowhere.
    sent.on('response', (response) => {
      origin.answered()
      clearTimeout(waiting)
      response.unpipe(end.stream)
      made.response = response
      passAnswer(sent, response, answer, options.bodyTimeoutMs)
    })
    sent.on('upgrade', (response, application) => {
      origin.answered()
      const headers = finished ? null : switchHeaders(response, options)
      if (headers === null) {
        application.destroy()
        return giveUp(BAD_ANSWER)
      }
      finish(true)
      options.lease.becomes('websocket')
      end.attach(upgrade.accept(headers), application)
      upgrade.onGoAway(end.sayGoodbye)
      options.lease.onCut(end.revoke)
    })
  })

const createProxy = (origin: Origin, { maxHeaderBytes }: UpgradeOptions) => {
  // One agent a connection, as http-proxy does it; but the connection is opened as all others of this origin.
  const agent = new Agent({ keepAlive: false })
  agent.createConnection = (_options, callback) => {
    origin.open((error, socket) => {
      // Node takes either; the types want both.
      if (error === null) callback?.(null, socket)
      else callback?.(error, undefined as unknown as Duplex)
    })
    return undefined
  }
  return httpProxy.createProxyServer({
    target: { protocol: 'http:', host: 'upstream.invalid', port: 80 },
    agent,
    // Whatever the protocol, http-proxy starts from these when it makes the options of its request.
    ssl: { setHost: false, maxHeaderSize: maxHeaderBytes, insecureHTTPParser: false },
  })
}

/** What http-proxy has joined, renamed or rewritten is set again as it should be. */
const setHead = (outgoing: ClientRequest, { target, headers }: UpgradeRequest): void => {
  outgoing.path = target
  outgoing.maxHeadersCount = 0
  for (const name of outgoing.getHeaderNames()) outgoing.removeHeader(name)
  const fields = new Map<string, { readonly name: string; readonly values: string[] }>()
  for (let index = 0; index < headers.length; index += 2) {
    const name = headers[index] ?? ''
    const field = fields.get(name.toLowerCase()) ?? { name, values: [] }
    field.values.push(headers[index + 1] ?? '')
    fields.set(name.toLowerCase(), field)
  }
  for (const { name, values } of fields.values()) {
    outgoing.setHeader(name, values.length === 1 ? (values[0] ?? '') : values)
  }
}

/**
 * The head of the caller's 101, or null when the application has switched to something else.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2
 */
const switchHeaders = (
  response: IncomingMessage,
  { decisionId, setCookies }: Pick<UpgradeOptions, 'decisionId' | 'setCookies'>,
): readonly string[] | null => {
  const protocols = headerValues(response.rawHeaders, 'upgrade')
  const [protocol] = protocols
  if (response.statusCode !== 101 || protocols.length !== 1 || protocol?.toLowerCase() !== 'websocket')
    return null
  const passed = responseHeaders(response.rawHeaders, { trailers: false })
  if (passed === null) return null
  const headers = ['Upgrade', 'websocket', 'Connection', 'Upgrade']
  for (let index = 0; index < passed.length; index += 2) {
    const name = passed[index] ?? ''
    // A 101 has no content (RFC 9110 section 8.6).
    if (name.toLowerCase() !== 'content-length') headers.push(name, passed[index + 1] ?? '')
  }
  addCookies(headers, setCookies)
  headers.push('Sallyport-Decision-Id', decisionId)
  return headers
}

const passHint = ({ statusCode, rawHeaders, statusMessage }: InformationEvent, answer: Answer): void => {
  if (statusCode !== 100) answer.head(statusCode, rawHeaders, statusMessage)
}

const passAnswer = (
  outgoing: ClientRequest,
  response: IncomingMessage,
  answer: Answer,
  bodyTimeoutMs: number | null,
): void => {
  if (bodyTimeoutMs !== null) response.setTimeout(bodyTimeoutMs, () => outgoing.destroy(new BodyTimeout()))
  response.on('data', answer.content.bind(answer))
  response.on('end', () => answer.complete(response.rawTrailers))
  response.on('error', answer.failed.bind(answer))
  answer.head(response.statusCode ?? 0, response.rawHeaders, response.statusMessage)
  // It was paused when http-proxy's pipe was taken off.
  response.resume()
}

class BodyTimeout extends Error {
  readonly code = 'UND_ERR_BODY_TIMEOUT'
}
