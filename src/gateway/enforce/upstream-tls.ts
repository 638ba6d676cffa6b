import { createPrivateKey, X509Certificate } from 'node:crypto'
import type { Preparation } from '../../core/settings.ts'
import type { UpstreamConfig } from './config.ts'

/** How the certificates of an application are verified, and which one it is shown. */
export interface UpstreamTls {
  /** PEM; null: those that Node trusts. */
  readonly ca: Buffer | null
  /** Null: the host of the URL. */
  readonly serverName: string | null
  /** PEM; left out: none is shown. */
  readonly client?: { readonly cert: Buffer; readonly key: Buffer } | null
}

export const SYSTEM_TRUST: UpstreamTls = { ca: null, serverName: null }

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g

/** Reads and checks the certificates to trust while the configuration is loaded; mistakes are reported at `caFile`. */
export const prepareUpstreamTls = (config: UpstreamConfig, preparation: Deps): UpstreamTls => {
  const { tls } = config
  const { readFile, report } = preparation
  const serverName = tls?.serverName ?? null
  const client = readClient(config, preparation)
  const shown = client === null ? {} : { client }
  if (tls?.caFile === undefined) return { ca: null, serverName, ...shown }
  const path = ['tls', 'caFile']
  const ca = readFile(tls.caFile, path)
  if (ca !== null && !holdsCertificates(ca)) {
    report({ path, rule: 'upstream-tls', message: 'the file does not hold certificates as PEM' })
  }
  return { ca, serverName, ...shown }
}

type Deps = Pick<Preparation, 'readFile' | 'report'>

const readClient = (
  { tls }: UpstreamConfig,
  { readFile, report }: Deps,
): NonNullable<UpstreamTls['client']> | null => {
  if (tls?.certFile === undefined || tls.keyFile === undefined) return null
  const cert = readFile(tls.certFile, ['tls', 'certFile'])
  const key = readFile(tls.keyFile, ['tls', 'keyFile'])
  if (cert === null || key === null) return null
  const problem = clientProblem(cert, key)
  if (problem !== null)
    report({ path: ['tls', problem.field], rule: 'upstream-tls', message: problem.message })
  return { cert, key }
}

/** What is wrong with a key is not told further: the message might quote it. */
const clientProblem = (
  cert: Buffer,
  key: Buffer,
): { readonly field: string; readonly message: string } | null => {
  if (!holdsCertificates(cert)) {
    return { field: 'certFile', message: 'the file does not hold a certificate as PEM' }
  }
  try {
    const isPair = new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))
    return isPair ? null : { field: 'keyFile', message: 'the key is not that of the certificate' }
  } catch {
    return { field: 'keyFile', message: 'the file does not hold a private key as PEM without a passphrase' }
  }
}

const holdsCertificates = (content: Buffer): boolean => {
  const blocks = content.toString('latin1').match(PEM_CERTIFICATE)
  try {
    return blocks?.map((block) => new X509Certificate(block)) !== undefined
  } catch {
    return false
  }
}
