import { createHash, timingSafeEqual } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { headerValues } from '../../../core/headers.ts'
import type { Log } from '../../../core/log.ts'
import { type Refusal, refuse } from '../../../core/refusals.ts'
import type { CanonicalRequest } from '../../../core/request.ts'
import type { SharedUses } from '../../../core/shared-uses.ts'
import type { SharedWait } from '../../../core/shared-wait.ts'
import type { Transmitter } from './config.ts'
import { createEventTokens, type EventToken, type SetError } from './event-token.ts'
import { eventOf, partsOf, STREAM_UPDATED, VERIFICATION } from './events.ts'
import { marksOf, type SignalMark } from './rules.ts'

/** Where transmitters push event tokens to, on every host. */
export const SIGNALS_PATH = '/.well-known/sallyport/signals'

/** A mark, why, and on whose word. */
export interface SignalDraft extends SignalMark {
  readonly reason: string
  readonly by: string
}

export interface SignalsOptions {
  readonly transmitters: readonly Transmitter[]
  /** Resolves to null when the mark is in force, else to why it is not. */
  readonly publish: (draft: SignalDraft) => Promise<string | null>
  /** Tokens that were taken. */
  readonly seen: SeenTokens
  readonly log: Log
}

export interface SeenTokens {
  readonly has: (key: string, wait: SharedWait) => Promise<boolean>
  readonly add: (key: string, wait: SharedWait) => Promise<void>
}

const MOST_SEEN = 100_000
const MOST_REASON = 200

/** As long as a mark that refuses credentials lives, unless it is told otherwise. */
const REMEMBERED_MS = 7 * 24 * 60 * 60 * 1000

/**
 * Bounded; the oldest are forgotten. One that comes again then has its effect again, as it has when those who share
 * what was seen cannot be asked: to revoke twice does less harm than to revoke late.
 */
export const createSeenTokens = (shared: SharedUses): SeenTokens => {
  const seen = new LRUCache<string, true>({ max: MOST_SEEN })
  return {
    has: async (key, wait) =>
      seen.has(key) || (await shared.wasUsed('signal', digest(key).toString('base64url'), wait)),
    add: (key, wait) => {
      seen.set(key, true)
      return shared.remember('signal', digest(key).toString('base64url'), REMEMBERED_MS, wait)
    },
  }
}

/** Takes one event token; null: it is taken, and what it says is in force. */
export type ReceiveSignal = (
  request: CanonicalRequest,
  body: Buffer,
  nowMs: number,
  wait: SharedWait,
) => Promise<Refusal | null>

/**
 * Receives security event tokens that are pushed.
 *
 * Errors: `bad_request` and `unauthenticated` with the codes of RFC 8935; `authenticator_unavailable` when keys are out
 * of reach and `revocation_unavailable` when a mark cannot be published: the transmitter has to try again.
 *
 * @see https://www.rfc-editor.org/rfc/rfc8935
 */
export const createSignals = (options: SignalsOptions): ReceiveSignal => {
  const { transmitters, seen, log } = options
  const verify = createEventTokens(transmitters)
  return async (request, body, nowMs, wait) => {
    const [type = ''] = headerValues(request.headers, 'content-type')
    if (!/^application\/secevent\+jwt(?:\s*;|$)/i.test(type)) {
      return badRequest({ err: 'invalid_request', description: 'expected application/secevent+jwt' })
    }
    const token = await verify(body.toString('latin1').trim(), nowMs)
    if ('err' in token) return badRequest(token)
    if ('unreachable' in token) return refuse('authenticate', 'authenticator_unavailable', token.unreachable)
    if (!isAuthorized(request, token.transmitter)) return UNAUTHORIZED
    const key = JSON.stringify([token.transmitter.name, token.jti])
    if (await seen.has(key, wait)) return null
    const failed = await apply(token, options)
    if (failed !== null) return failed
    await seen.add(key, wait)
    log.info({ transmitter: token.transmitter.name, jti: token.jti }, 'an event token was taken')
    return null
  }
}

const apply = async (token: EventToken, { publish, log }: SignalsOptions): Promise<Refusal | null> => {
  const { transmitter, subject, events } = token
  const parts = partsOf(subject, transmitter.subject.issuers ?? [transmitter.issuer])
  const drafts: SignalDraft[] = []
  for (const [uri, payload] of events) {
    const event = eventOf(uri)
    if (event === null) {
      if (uri !== VERIFICATION)
        log.info(
          { transmitter: transmitter.name, event: uri, ...statusOf(uri, payload) },
          'an event that revokes nothing',
        )
      continue
    }
    const marks = marksOf(transmitter, event, parts, payload)
    if (marks === null) {
      return badRequest({ err: 'invalid_request', description: `no rule fits the subject of ${event}` })
    }
    const reason = `${event}${reasonIn(payload.reason_admin)}`.slice(0, MOST_REASON)
    for (const mark of marks) drafts.push({ ...mark, reason, by: `signals:${transmitter.name}` })
  }
  for (const draft of drafts) {
    const failed = await publish(draft)
    if (failed !== null) return refuse('authenticate', 'revocation_unavailable', failed)
  }
  return null
}

const statusOf = (uri: string, payload: Readonly<Record<string, unknown>>): object =>
  uri === STREAM_UPDATED ? { status: payload.status } : {}

/** `reason_admin` is one text, or one a language. */
const reasonIn = (reason: unknown): string => {
  const text: unknown = typeof reason === 'object' && reason !== null ? Object.values(reason)[0] : reason
  return typeof text === 'string' ? `: ${text}` : ''
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

const isAuthorized = ({ headers }: CanonicalRequest, { token }: Transmitter): boolean => {
  if (token === undefined) return true
  const given = headerValues(headers, 'authorization')
  const [, presented = ''] = /^bearer +(.+)$/i.exec(given[0] ?? '') ?? []
  return given.length === 1 && timingSafeEqual(digest(presented), digest(token.reveal()))
}

const badRequest = (error: SetError): Refusal => ({
  ...refuse('authenticate', 'bad_request', `${error.err}: ${error.description}`),
  json: { err: error.err, description: error.description },
})

const UNAUTHORIZED: Refusal = {
  ...refuse('authenticate', 'unauthenticated', 'the transmitter did not present its token', {
    headers: ['WWW-Authenticate', 'Bearer'],
  }),
  json: { err: 'authentication_failed', description: 'the Authorization of this transmitter is wrong' },
}
