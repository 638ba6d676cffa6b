import { LRUCache } from 'lru-cache'
import { Agent } from 'undici'
import { type ClientIdentity, proveClient } from '../../core/client-authentication.ts'
import type { Clock } from '../../core/clock.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../../core/json.ts'
import type { Log } from '../../core/log.ts'
import type { Presented } from './authenticator.ts'
import { fetchJson } from './provider.ts'

/** What a provider says of a token; a string: nothing that can be relied on, and why. */
export type Introspected =
  | { readonly active: true; readonly claims: JsonObject }
  | { readonly active: false }
  | string

export interface IntrospectionClientOptions {
  readonly authenticator: string
  readonly endpoint: string
  readonly client: ClientIdentity
  readonly timeoutMs: number
  readonly insecure: boolean
  readonly negativeTtlMs: number
  readonly clock: Clock
  readonly log: Log
}

export interface IntrospectionClient {
  readonly ask: (presented: Presented) => Promise<Introspected>
  readonly close: () => void
}

const MOST_INACTIVE = 10_000
/** More questions are not asked at a time: what comes beyond them is refused at once. */
const MOST_UNDER_WAY = 256
/** After so many failures in a row nobody waits for an answer, until one trial has had one. */
const MOST_FAILURES = 3
const FIRST_REST_MS = 1000
const MOST_REST_MS = 10_000

interface State {
  failures: number
  restUntilMs: number
  failure: string
}

/**
 * Asks a provider about tokens: once for all who wait for the same one, and not while it is known to be down.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7662#section-2
 */
export const createIntrospectionClient = (options: IntrospectionClientOptions): IntrospectionClient => {
  const { timeoutMs, negativeTtlMs, clock } = options
  const agent = new Agent({
    connect: { timeout: timeoutMs },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
  })
  const closing = new AbortController()
  const underWay = new Map<string, Promise<Introspected>>()
  const inactive = new LRUCache<string, number>({ max: MOST_INACTIVE })
  const state: State = { failures: 0, restUntilMs: 0, failure: '' }

  const ask = async ({ value, digest }: Presented): Promise<Introspected> => {
    const { headers, parameters } = proveClient(options.client, clock.nowMs())
    const form = { headers, parameters: { token: value, token_type_hint: 'access_token', ...parameters } }
    const client = { agent, timeoutMs, insecure: options.insecure }
    const answer = await fetchJson(options.endpoint, client, closing.signal, form)
    const read = 'failure' in answer ? answer.failure : readAnswer(answer.json)
    note(state, read, options)
    if (typeof read !== 'string' && !read.active) inactive.set(digest, clock.nowMs() + negativeTtlMs)
    return read
  }

  return {
    ask: (presented) => {
      const { digest } = presented
      const nowMs = clock.nowMs()
      const known = inactive.get(digest)
      if (known !== undefined && nowMs < known) return Promise.resolve({ active: false })
      const waiting = underWay.get(digest)
      if (waiting !== undefined) return waiting
      if (state.failures >= MOST_FAILURES && nowMs < state.restUntilMs) return Promise.resolve(state.failure)
      if (underWay.size >= MOST_UNDER_WAY) return Promise.resolve('too many questions are under way')
      // While this one is tried, nobody else waits for a provider that was down.
      if (state.failures >= MOST_FAILURES) state.restUntilMs = nowMs + timeoutMs
      const asked = ask(presented).finally(() => underWay.delete(digest))
      underWay.set(digest, asked)
      return asked
    },
    close: () => {
      closing.abort()
      agent.destroy().catch(() => {})
    },
  }
}

const note = (
  state: State,
  read: Introspected,
  { authenticator, clock, log }: IntrospectionClientOptions,
): void => {
  if (typeof read !== 'string') {
    if (state.failures > 0) log.info({ authenticator }, 'The introspection endpoint answers again')
    state.failures = 0
    return
  }
  state.failures += 1
  state.failure = read
  const beyond = Math.max(0, state.failures - MOST_FAILURES)
  state.restUntilMs = clock.nowMs() + Math.min(MOST_REST_MS, FIRST_REST_MS * 2 ** Math.min(beyond, 10))
  log.warn({ authenticator, failure: read, failures: state.failures }, 'A token could not be introspected')
}

const readAnswer = (json: unknown): Introspected => {
  // It was parsed as JSON, which the type of the parser does not say.
  const answer = json as JsonValue
  if (!isJsonObject(answer) || typeof answer.active !== 'boolean') {
    return 'the answer does not say whether the token is active'
  }
  return answer.active ? { active: true, claims: answer } : { active: false }
}
