import { hash, type X509Certificate } from 'node:crypto'

/** A certificate that the caller has shown, and proved to hold the key of. */
export interface PeerCertificate {
  readonly x509: X509Certificate
  /** SHA-256 of its DER form in base64url: the `x5t#S256` of RFC 8705. */
  readonly thumbprint: string
  /** Who saw the proof: the listener, which checked it against its `clientCaFile`, or a trusted proxy. */
  readonly seenBy: 'listener' | 'proxy'
  /** What came with it to lead to a root, nearest first. */
  readonly issuers: readonly X509Certificate[]
}

export const peerCertificate = (
  x509: X509Certificate,
  seenBy: PeerCertificate['seenBy'],
  issuers: readonly X509Certificate[] = [],
): PeerCertificate => ({ x509, thumbprint: hash('sha256', x509.raw, 'base64url'), seenBy, issuers })
