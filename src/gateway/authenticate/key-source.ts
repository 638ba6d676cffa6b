import type { Clock } from '../../core/clock.ts'
import type { Log } from '../../core/log.ts'
import { isRefusal, type Refusal, refuse } from '../../core/refusals.ts'
import type { VerificationKey } from './jwks.ts'

export type Keys = readonly VerificationKey[]

/** Where an authenticator has its keys from. */
export interface KeySource {
  /** Rises with every key set that was taken over. */
  readonly generation: () => number
  /** The keys to try; a promise only when they must be fetched first. */
  readonly current: (nowMs: number) => Keys | Refusal | Promise<Keys | Refusal>
  /**
   * The keys after `current` did not have the right one.
   *
   * @param seenGeneration the generation before `current` was called.
   * @returns the same list as before when there is nothing newer.
   */
  readonly newer: (seenGeneration: number, nowMs: number) => Keys | Refusal | Promise<Keys | Refusal>
  /** False when the key has left the set, or when nobody knows any more whether it has. */
  readonly vouches: (key: VerificationKey, nowMs: number) => boolean
  readonly close: () => void
}

/** Keys that change only with the configuration. */
export const fixedKeys = (keys: Keys): KeySource => ({
  generation: () => 0,
  current: () => keys,
  newer: () => keys,
  vouches: () => true,
  close: () => {},
})

export interface Loaded {
  readonly keys: Keys
}

/** The provider did not give keys; `failure` is for operators. */
export interface LoadFailure {
  readonly failure: string
}

export interface RemoteKeysOptions {
  readonly authenticator: string
  /**
   * Fetches the key set. Must end by itself, and soon when the signal is aborted.
   *
   * @param scheduled false when only an unknown key is looked for.
   */
  readonly load: (scheduled: boolean, signal: AbortSignal) => Promise<Loaded | LoadFailure>
  /** Age at which keys are fetched again in the background; at twice this age the next request waits for it. */
  readonly refreshMs: number
  /** Age beyond which keys are not used while the provider does not answer. */
  readonly maxStaleMs: number
  /** The least time between two fetches that unknown keys cause. */
  readonly cooldownMs: number
  readonly clock: Clock
  readonly log: Log
}

interface State {
  keys: Keys
  generation: number
  fetchedAtMs: number
  attemptedAtMs: number
  /** Failed attempts since the last success. */
  failures: number
  failure: string
  /** When an unknown key last had its fetch. */
  soughtAtMs: number
  pending: Promise<void> | null
}

const FIRST_RETRY_MS = 1000

/**
 * Keys that a provider publishes.
 *
 * They are fetched once for all requests that wait, renewed before they are old, and used on for
 * `maxStaleMs` while the provider is down; then, and as long as there never were any, the refusal is
 * `authenticator_unavailable`. Failed fetches are repeated after 1 s, 2 s, 4 s … up to the cooldown.
 * The first fetch starts at once.
 */
export const remoteKeys = (options: RemoteKeysOptions): KeySource => {
  const state: State = {
    keys: [],
    generation: 0,
    fetchedAtMs: Number.NEGATIVE_INFINITY,
    attemptedAtMs: Number.NEGATIVE_INFINITY,
    failures: 0,
    failure: '',
    soughtAtMs: Number.NEGATIVE_INFINITY,
    pending: null,
  }
  const closing = new AbortController()
  const fetchOnce = (scheduled: boolean): Promise<void> => {
    state.pending ??= fetchKeys(state, options, scheduled, closing.signal).finally(() => {
      state.pending = null
    })
    return state.pending
  }
  const current = currentKeys(state, options, fetchOnce)
  fetchOnce(true)
  return {
    generation: () => state.generation,
    current,
    newer: newerKeys(state, options, fetchOnce),
    vouches: (key, nowMs) => {
      const keys = current(nowMs)
      return !(keys instanceof Promise) && !isRefusal(keys) && keys.includes(key)
    },
    close: () => closing.abort(),
  }
}

type FetchOnce = (scheduled: boolean) => Promise<void>

const currentKeys =
  (state: State, options: RemoteKeysOptions, fetchOnce: FetchOnce) =>
  (nowMs: number): Keys | Refusal | Promise<Keys | Refusal> => {
    const age = sinceMs(state.fetchedAtMs, nowMs)
    const usable = age < options.maxStaleMs
    if (usable && age < options.refreshMs) return state.keys
    // While the provider is known to be down, nobody waits for the next attempt.
    if (usable && (age < 2 * options.refreshMs || state.failures > 0)) {
      if (mayRetry(state, options, nowMs)) fetchOnce(true)
      return state.keys
    }
    if (state.pending === null && !mayRetry(state, options, nowMs)) return unavailable(state, options)
    return fetchOnce(true).then(() => keysIfUsable(state, options))
  }

const newerKeys =
  (state: State, options: RemoteKeysOptions, fetchOnce: FetchOnce): KeySource['newer'] =>
  (seenGeneration, nowMs) => {
    if (state.generation > seenGeneration) {
      // The set is younger than the token that was looked for: this fetch was its own.
      state.soughtAtMs = nowMs
      return state.keys
    }
    if (state.pending === null) {
      // With the provider down nobody can say that the key does not exist.
      if (sinceMs(state.soughtAtMs, nowMs) < options.cooldownMs || !mayRetry(state, options, nowMs)) {
        return state.failures > 0 ? unavailable(state, options) : state.keys
      }
      state.soughtAtMs = nowMs
    }
    return fetchOnce(false).then(() =>
      state.failures > 0 ? unavailable(state, options) : keysIfUsable(state, options),
    )
  }

// A clock that was set back must neither stop the fetches nor make old keys young.
const sinceMs = (thenMs: number, nowMs: number): number => Math.abs(nowMs - thenMs)

const mayRetry = (state: State, options: RemoteKeysOptions, nowMs: number): boolean => {
  if (state.failures === 0) return true
  const waitMs = Math.min(options.cooldownMs, FIRST_RETRY_MS * 2 ** (state.failures - 1))
  return sinceMs(state.attemptedAtMs, nowMs) >= waitMs
}

const keysIfUsable = (state: State, options: RemoteKeysOptions): Keys | Refusal => {
  const age = sinceMs(state.fetchedAtMs, options.clock.nowMs())
  return age < options.maxStaleMs ? state.keys : unavailable(state, options)
}

const unavailable = (state: State, { authenticator, maxStaleMs }: RemoteKeysOptions): Refusal => {
  const since = state.generation === 0 ? 'no keys were ever had' : `maxStale is ${maxStaleMs} ms`
  return refuse(
    'authenticate',
    'authenticator_unavailable',
    `${authenticator}: the provider of the keys does not help: ${state.failure} (${since})`,
  )
}

const fetchKeys = async (
  state: State,
  options: RemoteKeysOptions,
  scheduled: boolean,
  signal: AbortSignal,
): Promise<void> => {
  const startedAtMs = options.clock.nowMs()
  state.attemptedAtMs = startedAtMs
  const { authenticator, log } = options
  const loaded = await options.load(scheduled, signal).catch((error: unknown) => {
    // Nobody may be waiting for this fetch, so a bug in it must not end the process.
    log.error({ authenticator, err: error }, 'Fetching the keys of an authenticator broke')
    return { failure: 'fetching broke' }
  })
  if (signal.aborted) return
  if ('failure' in loaded) {
    state.failures += 1
    state.failure = loaded.failure
    log.warn(
      { authenticator, failure: loaded.failure, failures: state.failures },
      'The keys of an authenticator could not be fetched',
    )
    return
  }
  takeOver(state, loaded.keys, startedAtMs)
  if (state.failures > 0) {
    log.info({ authenticator }, 'The keys of an authenticator are here again')
  }
  state.failures = 0
  state.failure = ''
}

const takeOver = (state: State, fetched: Keys, startedAtMs: number): void => {
  const known = new Map(state.keys.map((key) => [key.fingerprint, key]))
  // A key that stays keeps its identity, and with it the tokens that it has vouched for.
  state.keys = fetched.map((key) => known.get(key.fingerprint) ?? key)
  state.generation += 1
  state.fetchedAtMs = startedAtMs
}
