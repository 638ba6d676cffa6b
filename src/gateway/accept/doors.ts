import type { Dialect } from '../../core/dialect.ts'
import type { RequestHead } from '../../core/exchange.ts'
import type { Refusal } from '../../core/refusals.ts'
import type { Route } from '../../core/route.ts'
import { createClientReader, createPeerTrust, type PeerTrust } from './client-address.ts'
import { createCertificateReader } from './client-certificate.ts'
import type { ListenerConfig, TrustedProxyConfig } from './config.ts'
import { type DescribedRequest, UNTRUSTED } from './described-request.ts'
import { createExtAuthzReader } from './ext-authz.ts'
import { createForwardAuthReader } from './forward-auth.ts'
import { createPostureFilter, type PostureFilter } from './posture.ts'

export interface AcceptListener extends Partial<Pick<ListenerConfig, 'speaks' | 'pathPrefix'>> {
  readonly trustedProxies: readonly TrustedProxyConfig[]
  /** What is asked by AuthZEN; null, or left out: other listeners. */
  readonly authzen?: Route | null
}

/** How the requests of one listener are read. */
export interface Door {
  readonly dialect: Dialect
  /** Null: it is no listener for AuthZEN. */
  readonly authzen: Route | null
  /** Null: the request is the caller's own. */
  readonly described: ((head: RequestHead) => DescribedRequest | Refusal) | null
  readonly readClient: ReturnType<typeof createClientReader>
  readonly filterPosture: PostureFilter
  readonly readCertificate: ReturnType<typeof createCertificateReader>
}

/**
 * @param posture lower-case names of every field that says how a device is.
 * @param unrepeatable lower-case names of what a decision looks at, and of what carries credentials.
 */
export const createDoor = (
  listener: AcceptListener,
  posture: ReadonlySet<string>,
  unrepeatable: ReadonlySet<string> = NOTHING,
): Door => ({
  dialect: listener.speaks ?? 'proxy',
  authzen: listener.authzen ?? null,
  described: describedBy(listener, unrepeatable),
  readClient: createClientReader(listener.trustedProxies),
  filterPosture: createPostureFilter(listener.trustedProxies, posture),
  readCertificate: createCertificateReader(listener.trustedProxies),
})

const NOTHING: ReadonlySet<string> = new Set()

const describedBy = (
  { trustedProxies, speaks = 'proxy', pathPrefix, authzen }: AcceptListener,
  unrepeatable: ReadonlySet<string>,
): Door['described'] => {
  switch (speaks) {
    case 'proxy':
      return null
    case 'authzen':
      return authzen?.authenticate.length === 0 ? onlyTrusted(createPeerTrust(trustedProxies)) : null
    case 'forward-auth':
      return createForwardAuthReader(createPeerTrust(trustedProxies))
    case 'ext-authz-http':
      return createExtAuthzReader(createPeerTrust(trustedProxies), { pathPrefix: pathPrefix ?? '' })
    case 'ext-authz-grpc':
      return createExtAuthzReader(createPeerTrust(trustedProxies), { unrepeatable })
  }
}

/** An enforcement point that is known by nothing but where it is, or by its certificate. */
const onlyTrusted =
  (trust: PeerTrust) =>
  (head: RequestHead): DescribedRequest | Refusal =>
    trust.trusts(head) ? { head, client: null } : UNTRUSTED
