import type { X509Certificate } from 'node:crypto'
import type { CertificateExtensions } from './certificate-extensions.ts'
import { parseSpiffeId } from './spiffe-id.ts'

const SERVER_AUTH = '1.3.6.1.5.5.7.3.1'
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'

export interface Svid {
  readonly id: string
  readonly trustDomain: string
}

/**
 * Reads the SPIFFE ID of a leaf certificate.
 *
 * @returns a string when it is no X.509-SVID of a workload: why.
 * Does not check: who issued it, and when it is valid.
 * @see https://github.com/spiffe/spiffe/blob/main/standards/X509-SVID.md sections 2, 4 and 5.2
 */
export const svidOf = (x509: X509Certificate, extensions: CertificateExtensions): Svid | string => {
  const [uri, second] = extensions.names.uri
  if (uri === undefined) return 'the certificate names no URI'
  if (second !== undefined) return 'the certificate names more than one URI'
  const id = parseSpiffeId(uri)
  if (id === null) return 'the URI of the certificate is no SPIFFE ID'
  if (id.path === '') return 'the SPIFFE ID is that of a whole trust domain'
  if (extensions.isAuthority) return 'the certificate is one of an authority'
  const { keyUsage } = extensions
  if (keyUsage === null || !keyUsage.critical) return 'the certificate has no critical key usage'
  if (!keyUsage.bits.has('digitalSignature')) return 'the key of the certificate is not for signatures'
  if (keyUsage.bits.has('keyCertSign') || keyUsage.bits.has('cRLSign')) {
    return 'the key of the certificate may issue others'
  }
  // Node calls the extended key usage so; undefined where there is none.
  const extended: readonly string[] | undefined = x509.keyUsage
  if (extended !== undefined && !(extended.includes(SERVER_AUTH) && extended.includes(CLIENT_AUTH))) {
    return 'the certificate is not for both client and server'
  }
  return { id: uri, trustDomain: id.trustDomain }
}

/** False when the certificate says what it is for, and that is not to be shown by a client. */
export const isForClients = (x509: X509Certificate): boolean => {
  const extended: readonly string[] | undefined = x509.keyUsage
  return extended === undefined || extended.includes(CLIENT_AUTH)
}
