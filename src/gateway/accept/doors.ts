import type { Dialect } from '../../core/dialect.ts'
import type { RequestHead } from '../../core/exchange.ts'
import type { Refusal } from '../../core/refusals.ts'
import { createClientReader, createPeerTrust } from './client-address.ts'
import { createCertificateReader } from './client-certificate.ts'
import type { ListenerConfig, TrustedProxyConfig } from './config.ts'
import type { DescribedRequest } from './described-request.ts'
import { createExtAuthzReader } from './ext-authz.ts'
import { createForwardAuthReader } from './forward-auth.ts'

export interface AcceptListener extends Partial<Pick<ListenerConfig, 'speaks' | 'pathPrefix'>> {
  readonly trustedProxies: readonly TrustedProxyConfig[]
}

/** How the requests of one listener are read. */
export interface Door {
  readonly dialect: Dialect
  /** Null: the request is the caller's own. */
  readonly described: ((head: RequestHead) => DescribedRequest | Refusal) | null
  readonly readClient: ReturnType<typeof createClientReader>
  readonly readCertificate: ReturnType<typeof createCertificateReader>
}

/** @param unrepeatable lower-case names of what a decision looks at, and of what carries credentials. */
export const createDoor = (listener: AcceptListener, unrepeatable: ReadonlySet<string> = NOTHING): Door => ({
  dialect: listener.speaks ?? 'proxy',
  described: describedBy(listener, unrepeatable),
  readClient: createClientReader(listener.trustedProxies),
  readCertificate: createCertificateReader(listener.trustedProxies),
})

const NOTHING: ReadonlySet<string> = new Set()

const describedBy = (
  { trustedProxies, speaks = 'proxy', pathPrefix }: AcceptListener,
  unrepeatable: ReadonlySet<string>,
): Door['described'] => {
  switch (speaks) {
    case 'proxy':
      return null
    case 'forward-auth':
      return createForwardAuthReader(createPeerTrust(trustedProxies))
    case 'ext-authz-http':
      return createExtAuthzReader(createPeerTrust(trustedProxies), { pathPrefix: pathPrefix ?? '' })
    case 'ext-authz-grpc':
      return createExtAuthzReader(createPeerTrust(trustedProxies), { unrepeatable })
  }
}
