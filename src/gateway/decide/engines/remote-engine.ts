import { canonicalHash } from '../../../core/canonical-hash.ts'
import type { Clock } from '../../../core/clock.ts'
import type { Log } from '../../../core/log.ts'
import { type Refusal, refuse } from '../../../core/refusals.ts'
import { createBreaker } from './breaker.ts'
import type { EngineStatus } from './engine.ts'
import type { RemoteConfig } from './remote-config.ts'
import { createRemoteHttp, type RemoteHttp } from './remote-http.ts'
import type { RemoteTls } from './remote-tls.ts'

/** What an exchange came to: a value, or why there is none. */
export type Exchanged<T> =
  | { readonly value: T }
  | {
      /** For operators. */
      readonly failure: string
      /** `caller`: by what was asked, or because nobody waited; says nothing of the engine. */
      readonly fault: 'engine' | 'caller'
    }

/** An engine at the other end of a connection. */
export interface RemoteEngine {
  readonly http: RemoteHttp
  /** Does an exchange unless the breaker is open; a refusal when it came to nothing. */
  readonly ask: <T>(exchange: () => Promise<Exchanged<T>>) => Promise<T | Refusal>
  /** Notes how a background question went: `null` well, else why not. Does not move the breaker. */
  readonly noted: (failure: string | null) => void
  readonly status: () => EngineStatus
}

export const createRemoteEngine = (
  name: string,
  config: RemoteConfig,
  tls: RemoteTls | null,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): RemoteEngine => {
  const { url, timeout, connections, token } = config
  const http = createRemoteHttp({
    url,
    timeoutMs: timeout,
    connections,
    tls,
    headers: token === undefined ? {} : { authorization: `Bearer ${token.reveal()}` },
  })
  const breaker = createBreaker(clock)
  const counts = { answers: 0, failures: 0 }
  let reachable: boolean | null = null
  let failure: string | null = null

  const noted = (problem: string | null): void => {
    const before = reachable
    reachable = problem === null
    failure = problem
    if (problem !== null && before !== false) log.warn({ engine: name, failure: problem }, 'an engine fails')
    if (problem === null && before === false) log.info({ engine: name }, 'an engine answers again')
  }

  return {
    http,
    noted,
    status: () => ({ reachable, failure, breakerOpen: breaker.isOpen(), ...counts }),
    ask: async (exchange) => {
      if (!breaker.begin()) return unavailable(name, `not asked, since it keeps failing: ${failure ?? ''}`)
      let exchanged: Awaited<ReturnType<typeof exchange>>
      try {
        exchanged = await exchange()
      } catch (bug) {
        breaker.end('neutral')
        throw bug
      }
      if ('value' in exchanged) {
        breaker.end('success')
        counts.answers += 1
        noted(null)
        return exchanged.value
      }
      breaker.end(exchanged.fault === 'engine' ? 'failure' : 'neutral')
      if (exchanged.fault === 'engine') {
        counts.failures += 1
        noted(exchanged.failure)
      }
      return unavailable(name, exchanged.failure)
    },
  }
}

export const unavailable = (engine: string, what: string): Refusal =>
  refuse('decide', 'engine_unavailable', `engine ${engine}: ${what}`)

/** Tells configurations apart whose answers may differ while their policies have one version. */
export const configurationHash = (config: object): string => canonicalHash(JSON.parse(JSON.stringify(config)))

/** One exchange of several: all values, or the first failure. */
export const allExchanged = <T>(exchanged: readonly Exchanged<T>[]): Exchanged<readonly T[]> => {
  const values: T[] = []
  let fault: Exclude<Exchanged<T>, { readonly value: T }> | null = null
  for (const one of exchanged) {
    if ('value' in one) values.push(one.value)
    // What the engine is at fault for counts, whatever else there is.
    else if (fault === null || (fault.fault === 'caller' && one.fault === 'engine')) fault = one
  }
  return fault ?? { value: values }
}
