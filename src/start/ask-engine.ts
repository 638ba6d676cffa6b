import type { Configuration } from '../config/configuration.ts'
import type { AccessRequest } from '../core/access-request.ts'
import type { Clock } from '../core/clock.ts'
import { isRefusal } from '../core/refusals.ts'
import type { CanonicalRequest } from '../core/request.ts'
import { randomUuidV7 } from '../core/uuid.ts'
import type { EngineAnswer } from '../gateway/decide/engines/engine.ts'

/** How an engine took one question. */
export interface EngineTrial {
  readonly engine: string
  readonly type: string
  /** Null: there was no decision. */
  readonly answer: EngineAnswer | null
  /** Why there was none. */
  readonly failure: string | null
  readonly policyVersion: string
  readonly latencyMs: number
}

const DEADLINE_MS = 10_000

/** Makes one engine of a configuration, asks it one question past all grants, and closes it again. */
export const askEngine = async (
  { engines }: Configuration,
  name: string,
  request: AccessRequest,
  clock: Clock,
): Promise<EngineTrial | null> => {
  const engine = engines.get(name)?.create()
  if (engine === undefined) return null
  try {
    const signal = AbortSignal.timeout(engine.timeoutMs ?? DEADLINE_MS)
    const startedUs = clock.monotonicUs()
    const http = { request: requestOf(clock), body: null }
    const answers = await engine.evaluate([request], () => signal, http)
    const latencyMs = Math.round(clock.monotonicUs() - startedUs) / 1000
    const { type } = engine
    const known = { engine: name, type, policyVersion: engine.policyVersion(), latencyMs }
    if (isRefusal(answers)) return { ...known, answer: null, failure: answers.detail }
    const [answer] = answers
    if (answer === undefined) return { ...known, answer: null, failure: 'no answer' }
    return { ...known, policyVersion: answer.policyVersion ?? known.policyVersion, answer, failure: null }
  } finally {
    await engine.close?.()
  }
}

/** For engines that look at the request itself: the simplest that there is. */
const requestOf = (clock: Clock): CanonicalRequest => ({
  id: randomUuidV7(clock.nowMs()),
  method: 'GET',
  host: 'localhost',
  path: '/',
  ip: '127.0.0.1',
  receivedAtMs: clock.nowMs(),
  scheme: 'http',
  authority: 'localhost',
  query: '',
  target: '/',
  originalTarget: '/',
  headers: ['Host', 'localhost'],
  names: ['host'],
  tls: false,
  remoteAddress: '127.0.0.1',
})
