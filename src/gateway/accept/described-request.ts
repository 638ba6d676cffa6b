import { METHODS } from 'node:http'
import type { RequestHead } from '../../core/exchange.ts'
import { type Refusal, refuse } from '../../core/refusals.ts'
import type { Client } from './client-address.ts'

/** A request as it would have come here itself, by the word of a proxy that is trusted. */
export interface DescribedRequest {
  readonly head: RequestHead
  /** Null: as the head says. */
  readonly client: Client | null
}

/** About the connection between the proxy and us, or about the question itself. */
export const NOT_OF_THE_REQUEST: ReadonlySet<string> = new Set([
  ...['connection', 'content-length', 'expect', 'http2-settings', 'keep-alive', 'proxy-connection', 'te'],
  ...['trailer', 'transfer-encoding'],
])

/** Those that Node's parser takes. */
export const KNOWN_METHODS: ReadonlySet<string> = new Set(METHODS)

export const UNTRUSTED = refuse(
  'accept',
  'denied',
  'the peer is not one of the trustedProxies of this listener',
  { publicDetail: 'This address answers trusted proxies only.' },
)

/** @param reason quotes nothing of the request. */
export const badQuestion = (reason: string): Refusal =>
  refuse('accept', 'bad_request', `the proxy's question has ${reason}`, {
    publicDetail: `The request has ${reason}.`,
  })
