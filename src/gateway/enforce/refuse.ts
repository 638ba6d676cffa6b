import { prefersHtml } from '../../core/accepts-html.ts'
import type { Exchange } from '../../core/exchange.ts'
import { type HeaderPairs, headerValues } from '../../core/headers.ts'
import { forwardAuthStatus, REFUSALS, type Refusal, statusOf } from '../../core/refusals.ts'
import { PAGE_POLICY, plainPage } from './plain-page.ts'

/** An answer that is complete in itself. */
export interface RefusalAnswer {
  readonly status: number
  readonly headers: readonly string[]
  readonly body: Buffer
}

/** Seconds; a breaker lets a trial through about as often. */
const RETRY_AFTER = '5'

/**
 * What a refused caller gets: problem+json, or a plain page for a browser.
 *
 * Of the request nothing is repeated, and of the refusal only `publicDetail`.
 *
 * @param accept the caller's `Accept`, null when there is none.
 * @param decisionId null when the refusal has no record of its own.
 * @param status default the refusal's own.
 * @see https://www.rfc-editor.org/rfc/rfc9457#section-3
 */
export const refusalAnswer = (
  refusal: Refusal,
  accept: string | null,
  decisionId: string | null,
  status: number = statusOf(refusal),
): RefusalAnswer => {
  const { json } = refusal
  const html = json === undefined && prefersHtml(accept)
  const text =
    json === undefined ? (html ? page : problem)(refusal, status, decisionId) : JSON.stringify(json)
  const body = Buffer.from(text)
  const type = json === undefined ? 'application/problem+json' : 'application/json'
  const headers = [
    ...['Content-Type', html ? 'text/html; charset=utf-8' : type],
    ...['Content-Length', String(body.length)],
    ...['Cache-Control', 'no-store', 'Vary', 'Accept', 'X-Content-Type-Options', 'nosniff'],
  ]
  if (html) headers.push('Content-Security-Policy', PAGE_POLICY)
  if (refusal.elsewhere !== undefined) headers.push('Location', refusal.elsewhere)
  if (refusal.headers !== undefined) headers.push(...refusal.headers)
  if (status === 503 && headerValues(headers, 'retry-after').length === 0)
    headers.push('Retry-After', RETRY_AFTER)
  if (decisionId !== null) headers.push('Sallyport-Decision-Id', decisionId)
  return { status, headers, body }
}

/**
 * Refuses a request; one whose answer has begun is cut instead.
 *
 * @param decisionId null when the refusal has no record of its own.
 */
export const refuse = (exchange: Exchange, refusal: Refusal, decisionId: string | null): void =>
  answerRefusal(exchange, refusal, decisionId, statusOf(refusal))

/** As `refuse`, with a status that tells a proxy not to forward the request that it asks about. */
export const refuseForwardAuth = (exchange: Exchange, refusal: Refusal, decisionId: string | null): void =>
  answerRefusal(exchange, refusal, decisionId, forwardAuthStatus(refusal.refusal))

const answerRefusal = (
  { head, reply }: Exchange,
  refusal: Refusal,
  decisionId: string | null,
  status: number,
): void => {
  if (reply.headSent()) return reply.abort()
  const answer = refusalAnswer(refusal, acceptOf(head.headers), decisionId, status)
  // The transport closes the connection where the caller is still sending.
  reply.head(answer.status, '', answer.headers)
  reply.end(head.method === 'HEAD' ? undefined : answer.body)
}

const acceptOf = (headers: HeaderPairs): string | null => {
  const values = headerValues(headers, 'accept')
  return values.length === 0 ? null : values.join(',')
}

const problem = (refusal: Refusal, status: number, decisionId: string | null): string => {
  const { title } = REFUSALS[refusal.refusal]
  return JSON.stringify({
    type: `urn:sallyport:problem:${refusal.refusal}`,
    title,
    status,
    code: refusal.refusal,
    ...(refusal.publicDetail === undefined ? {} : { detail: refusal.publicDetail }),
    ...(decisionId === null ? {} : { decisionId, instance: `urn:uuid:${decisionId}` }),
  })
}

const page = (refusal: Refusal, status: number, decisionId: string | null): string => {
  const { title } = REFUSALS[refusal.refusal]
  return plainPage({
    title: `${status} ${title}`,
    heading: title,
    text: refusal.publicDetail ?? null,
    facts: [
      { name: 'Status', value: String(status), plain: true },
      { name: 'Code', value: refusal.refusal },
      ...(decisionId === null ? [] : [{ name: 'Decision', value: decisionId }]),
    ],
  })
}
