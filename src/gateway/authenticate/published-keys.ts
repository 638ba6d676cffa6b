import { Agent } from 'undici'
import { discoverKeySet } from './discovery.ts'
import { parseKeySet } from './jwks.ts'
import {
  type KeySource,
  type Loaded,
  type LoadFailure,
  type RemoteKeysOptions,
  remoteKeys,
} from './key-source.ts'
import { fetchJson, type ProviderClient } from './provider.ts'
import { parseSpiffeBundle } from './spiffe-bundle.ts'

/** Where the key set is, or who knows where it is. */
export type Publisher =
  | { readonly jwksUri: string }
  | { readonly issuer: string }
  /** A SPIFFE bundle, of which the keys for JWT-SVIDs count. */
  | { readonly bundleUrl: string }

export interface PublishedKeysOptions extends Omit<RemoteKeysOptions, 'load'> {
  readonly publisher: Publisher
  readonly timeoutMs: number
  readonly insecure: boolean
}

/** The key set of an identity provider, fetched over HTTP. */
export const publishedKeys = (options: PublishedKeysOptions): KeySource => {
  const { timeoutMs, insecure } = options
  const agent = new Agent({
    connect: { timeout: timeoutMs },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
    // No connection is kept: fetches are minutes apart, and a kept one may be dead by then.
    pipelining: 0,
  })
  const source = remoteKeys({ ...options, load: keySetLoader(options, { agent, timeoutMs, insecure }) })
  return {
    ...source,
    close: () => {
      source.close()
      agent.destroy().catch(() => {})
    },
  }
}

const keySetLoader = ({ publisher, authenticator, log }: PublishedKeysOptions, client: ProviderClient) => {
  let discovered: string | null = null
  const locate = async (scheduled: boolean, signal: AbortSignal) => {
    if ('jwksUri' in publisher) return publisher
    if ('bundleUrl' in publisher) return { jwksUri: publisher.bundleUrl }
    // Looking for one unknown key is no reason to ask again where the keys are.
    if (discovered !== null && !scheduled) return { jwksUri: discovered }
    return discoverKeySet(publisher.issuer, client, signal)
  }
  return async (scheduled: boolean, signal: AbortSignal): Promise<Loaded | LoadFailure> => {
    const located = await locate(scheduled, signal)
    if ('failure' in located) return located
    discovered = located.jwksUri
    const answer = await fetchJson(located.jwksUri, client, signal)
    if ('failure' in answer) return answer
    const set = 'bundleUrl' in publisher ? parseSpiffeBundle(answer.json) : parseKeySet(answer.json)
    if ('problem' in set) return { failure: `${located.jwksUri} gave no key set: ${set.problem}` }
    if (set.skipped.length > 0) {
      log.debug({ authenticator, skipped: set.skipped }, 'Some keys of a key set cannot be used')
    }
    return set
  }
}
