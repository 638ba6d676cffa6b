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

export const createDoor = (listener: AcceptListener): Door => ({
  dialect: listener.speaks ?? 'proxy',
  described: describedBy(listener),
  readClient: createClientReader(listener.trustedProxies),
  readCertificate: createCertificateReader(listener.trustedProxies),
})

const describedBy = ({ trustedProxies, speaks = 'proxy', pathPrefix }: AcceptListener): Door['described'] => {
  switch (speaks) {
    case 'proxy':
      return null
    case 'forward-auth':
      return createForwardAuthReader(createPeerTrust(trustedProxies))
    case 'ext-authz-http':
      return createExtAuthzReader(createPeerTrust(trustedProxies), pathPrefix ?? '')
  }
}
