import { constants, type X509Certificate } from 'node:crypto'
import type { ServerOptions } from 'node:https'
import { createSecureContext, type SecureContext, type SecureContextOptions, type TLSSocket } from 'node:tls'
import { type PeerCertificate, peerCertificate } from '../../core/peer-certificate.ts'
import type { ClientCertMode } from './tls-config.ts'

/** A certificate with its key, read and checked. */
export interface Certificate {
  /** Exact, or `*.suffix` for one label; lower case. */
  readonly hosts: readonly string[]
  readonly cert: Buffer
  readonly key: Buffer
}

/** What a listener speaks TLS by, read and checked. */
export interface TlsMaterial {
  /** For callers that ask for no name, or for none that is known. */
  readonly fallback: Certificate
  readonly others: readonly Certificate[]
  readonly clientCa: Buffer | null
  readonly clientCert: ClientCertMode
  /** The same for the same material. */
  readonly fingerprint: string
}

const CIPHERS = [
  ...['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'],
  ...['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256'],
  ...['ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-RSA-AES256-GCM-SHA384'],
  ...['ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-RSA-CHACHA20-POLY1305'],
].join(':')

/** @see https://www.rfc-editor.org/rfc/rfc9325 for versions and ciphers */
export const contextOptions = (
  { cert, key }: Pick<Certificate, 'cert' | 'key'>,
  clientCa: Buffer | null,
): SecureContextOptions => ({
  cert,
  key,
  ...(clientCa === null ? {} : { ca: clientCa }),
  minVersion: 'TLSv1.2',
  ciphers: CIPHERS,
  honorCipherOrder: true,
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
})

/** What can be changed under an open server. */
interface ClientCertRules {
  readonly requestCert: boolean
  readonly rejectUnauthorized: boolean
}

const clientCertRules = ({ clientCert }: TlsMaterial): ClientCertRules => ({
  requestCert: clientCert !== 'none',
  rejectUnauthorized: clientCert === 'required',
})

interface ReplaceableServer {
  readonly setSecureContext: (options: SecureContextOptions) => void
}

/** Makes new handshakes go by other material; connections stay as they are. */
export interface TlsSwitch {
  readonly options: ServerOptions
  /** @returns true when certificates of callers are judged by others than before. */
  readonly replace: (server: ReplaceableServer, material: TlsMaterial) => boolean
}

export const createTlsSwitch = (first: TlsMaterial): TlsSwitch => {
  let material = first
  let choose = createChooser(material)
  return {
    options: {
      ...contextOptions(material.fallback, material.clientCa),
      ...clientCertRules(material),
      ALPNProtocols: ['http/1.1'],
      // Null stands for the server's own context, which the types do not say.
      SNICallback: (name, callback) => callback(null, choose(name) ?? undefined),
    },
    replace: (server, changed) => {
      if (changed.fingerprint === material.fingerprint) return false
      const judges = material.clientCa
      material = changed
      choose = createChooser(material)
      // Its ticket keys are new too, so that no session outlives the rules that it was made by.
      server.setSecureContext(contextOptions(material.fallback, material.clientCa))
      // Documented only as options; Node reads them off the server for each new connection.
      Object.assign(server, clientCertRules(material))
      return judges !== null && material.clientCa?.equals(judges) !== true
    },
  }
}

/** Exact names first, then one label for the asterisk; null: the server's own context. */
const createChooser = (material: TlsMaterial): ((name: string) => SecureContext | null) => {
  const { fallback, others, clientCa } = material
  const byHost = new Map<string, SecureContext | null>(fallback.hosts.map((host) => [host, null]))
  for (const certificate of others) {
    const context = createSecureContext(contextOptions(certificate, clientCa))
    for (const host of certificate.hosts) byHost.set(host, context)
  }
  return (name) => {
    const host = name.toLowerCase()
    const exact = byHost.get(host)
    return exact !== undefined ? exact : (byHost.get(host.replace(/^[^.]*/, '*')) ?? null)
  }
}

/** True when a caller has shown a certificate that is not good; one that need not show any may show none. */
export const hasBadCertificate = (socket: TLSSocket): boolean => {
  if (socket.authorized || socket.authorizationError === undefined || socket.authorizationError === null)
    return false
  // An empty object stands for none.
  return Object.keys(socket.getPeerCertificate()).length > 0
}

/** No chain that a handshake takes is longer. */
const MOST_ISSUERS = 10

/** The certificate that the caller has shown, if it was asked for one and it is good. */
export const certificateOf = (socket: TLSSocket): PeerCertificate | null => {
  const x509 = socket.authorized ? socket.getPeerX509Certificate() : undefined
  if (x509 === undefined) return null
  const issuers: X509Certificate[] = []
  let issuer = x509.issuerCertificate
  while (issuer !== undefined && issuers.length < MOST_ISSUERS) {
    issuers.push(issuer)
    issuer = issuer.issuerCertificate
  }
  return peerCertificate(x509, 'listener', issuers)
}
