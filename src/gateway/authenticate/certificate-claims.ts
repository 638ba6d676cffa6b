import type { X509Certificate } from 'node:crypto'
import type { JsonObject } from '../../core/json.ts'
import type { PeerCertificate } from '../../core/peer-certificate.ts'
import type { CertificateExtensions } from './certificate-extensions.ts'

/**
 * What a mapping sees of a certificate: `spiffeId`, `subject` and `issuer` by their fields (`CN`, `O`, `OU` …),
 * `san` by kind, `serialNumber`, `thumbprint`, `notBefore`, `notAfter`.
 *
 * A field of a name that comes more than once is a list.
 */
export const certificateClaims = (
  { x509, thumbprint }: PeerCertificate,
  { names }: CertificateExtensions,
  spiffeId: string | null,
): JsonObject => ({
  ...(spiffeId === null ? {} : { spiffeId }),
  subject: distinguishedName(x509, 'subject'),
  issuer: distinguishedName(x509, 'issuer'),
  san: { uri: names.uri, dns: names.dns, email: names.email, ip: names.ip },
  serialNumber: x509.serialNumber,
  thumbprint,
  notBefore: Math.floor(Date.parse(x509.validFrom) / 1000),
  notAfter: Math.floor(Date.parse(x509.validTo) / 1000),
})

/** Of the legacy form, since the text of a name may hold what separates its fields. */
const distinguishedName = (x509: X509Certificate, of: 'subject' | 'issuer'): JsonObject => {
  const fields: unknown = x509.toLegacyObject()[of]
  if (typeof fields !== 'object' || fields === null) return {}
  const named = new Map<string, string | readonly string[]>()
  for (const [name, value] of Object.entries(fields as Readonly<Record<string, unknown>>)) {
    if (typeof value === 'string') named.set(name, value)
    else if (Array.isArray(value) && value.every((each): each is string => typeof each === 'string')) {
      named.set(name, value)
    }
  }
  return Object.fromEntries(named)
}
