import { Readable } from 'node:stream'
import type { Departure } from '../../../core/departure.ts'
import type { AskedBy, Exchange, Reply, RequestHead } from '../../../core/exchange.ts'
import type { HeaderPairs } from '../../../core/headers.ts'
import type { PeerCertificate } from '../../../core/peer-certificate.ts'
import { REFUSALS } from '../../../core/refusals.ts'
import type { AskedHttp, CheckRequest, CheckResponse, HeaderOption } from './messages.ts'

/** Who asks. */
export interface Asker {
  readonly remoteAddress: string
  readonly peerCertificate: PeerCertificate | null
  readonly listener: string
  readonly tls: boolean
}

/**
 * A question of Envoy's as an exchange.
 *
 * @param asked null when it could not be read.
 * @param answer called once.
 */
export const createCheckExchange = (
  asked: CheckRequest | null,
  asker: Asker,
  departure: Departure,
  answer: (response: CheckResponse) => void,
): Exchange => ({
  head: headOf(asked, asker),
  body: Readable.from(asked === null ? [] : bodyOf(asked.http), { objectMode: false }),
  reply: createCheckReply(answer),
  onGone: departure.onGone,
  signal: departure.signal,
})

const headOf = (
  asked: CheckRequest | null,
  { remoteAddress, peerCertificate, listener, tls }: Asker,
): RequestHead => {
  const peer = { remoteAddress, peerCertificate, listener, tls, httpVersion: '1.1' } as const
  if (asked === null) return { ...peer, method: '', target: '', headers: [] }
  const { http, sourceAddress } = asked
  const isRaw = (http.headerMap?.headers.length ?? 0) > 0
  const askedBy: AskedBy = {
    sourceAddress,
    scheme: http.scheme,
    isMerged: !isRaw,
    // Envoy leaves both empty: what is in them would be matched, and not forwarded.
    hasOddParts: http.query !== '' || http.fragment !== '',
  }
  const headers = ['host', http.host, ...(isRaw ? rawHeaders(http) : mergedHeaders(http))]
  return { ...peer, method: http.method, target: http.path, headers, askedBy }
}

const rawHeaders = ({ headerMap }: AskedHttp): string[] =>
  (headerMap?.headers ?? []).flatMap(({ key, value, rawValue }) => {
    if (key.startsWith(':')) return []
    return [key, Buffer.from(rawValue.length > 0 ? rawValue : Buffer.from(value)).toString('latin1')]
  })

const mergedHeaders = ({ headers }: AskedHttp): string[] =>
  Object.entries(headers).flatMap(([key, value]) =>
    key.startsWith(':') ? [] : [key, Buffer.from(value).toString('latin1')],
  )

const bodyOf = ({ body, rawBody }: AskedHttp): Buffer[] => {
  const bytes = Buffer.from(rawBody.length > 0 ? rawBody : Buffer.from(body))
  return bytes.length === 0 ? [] : [bytes]
}

const ALLOWED = 200

/** Gathers an answer, and gives it once it is complete. */
const createCheckReply = (answer: (response: CheckResponse) => void): Reply => {
  let status = 0
  let headers: HeaderPairs = []
  let over = false
  const chunks: Buffer[] = []
  const finish = (response: CheckResponse): void => {
    if (over) return
    over = true
    answer(response)
  }
  return {
    headSent: () => status !== 0,
    informational: () => undefined,
    head: (code, _reason, pairs) => {
      status = code
      headers = pairs
    },
    write: (chunk) => {
      chunks.push(chunk)
      return true
    },
    onDrain: () => undefined,
    trailers: () => undefined,
    end: (chunk) => {
      if (chunk !== undefined) chunks.push(Buffer.from(chunk))
      // No refusal has this status.
      finish(
        status === ALLOWED ? allowed(headers) : refused(status, headers, Buffer.concat(chunks).toString()),
      )
    },
    // Not an error of the call: Envoy may be told to let requests pass when there is one.
    abort: () => finish(refused(REFUSALS.internal.status, [], '')),
  }
}

const REMOVE = 'x-envoy-auth-headers-to-remove'

const allowed = (pairs: HeaderPairs): CheckResponse => {
  const headers: HeaderOption[] = []
  const headersToRemove: string[] = []
  const responseHeadersToAdd: HeaderOption[] = []
  forEachField(pairs, (name, value) => {
    const lowerName = name.toLowerCase()
    if (lowerName === REMOVE) headersToRemove.push(...value.split(','))
    else if (lowerName === 'set-cookie') responseHeadersToAdd.push(adding(name, value))
    else headers.push(overwriting(name, value))
  })
  return {
    status: { code: 0 },
    okResponse: { headers, headersToRemove, responseHeadersToAdd },
    ...metadataOf(pairs),
  }
}

const PERMISSION_DENIED = 7
const UNAUTHENTICATED = 16

const refused = (status: number, pairs: HeaderPairs, body: string): CheckResponse => {
  const headers: HeaderOption[] = []
  forEachField(pairs, (name, value) => {
    const lowerName = name.toLowerCase()
    if (lowerName === 'content-length' || lowerName === 'connection') return
    headers.push((lowerName === 'set-cookie' ? adding : overwriting)(name, value))
  })
  return {
    status: { code: status === REFUSALS.unauthenticated.status ? UNAUTHENTICATED : PERMISSION_DENIED },
    deniedResponse: { status: { code: status }, headers, body },
    ...metadataOf(pairs),
  }
}

const metadataOf = (pairs: HeaderPairs): Pick<CheckResponse, 'dynamicMetadata'> => {
  let id: string | null = null
  forEachField(pairs, (name, value) => {
    if (name.toLowerCase() === 'sallyport-decision-id') id = value
  })
  return id === null ? {} : { dynamicMetadata: { fields: { decisionId: { stringValue: id } } } }
}

/** A string of the protocol is UTF-8. */
const overwriting = (key: string, value: string): HeaderOption => ({
  header: { key: key.toLowerCase(), value: Buffer.from(value, 'latin1').toString('utf8') },
  append: { value: false },
})

const adding = (key: string, value: string): HeaderOption => ({
  ...overwriting(key, value),
  append: { value: true },
})

const forEachField = (pairs: HeaderPairs, step: (name: string, value: string) => void): void => {
  for (let index = 0; index < pairs.length; index += 2) step(pairs[index] ?? '', pairs[index + 1] ?? '')
}
