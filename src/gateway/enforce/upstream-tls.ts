import { X509Certificate } from 'node:crypto'
import type { Preparation } from '../../core/settings.ts'
import type { UpstreamConfig } from './config.ts'

/** How the certificates of an application are verified. */
export interface UpstreamTls {
  /** PEM; null: those that Node trusts. */
  readonly ca: Buffer | null
  /** Null: the host of the URL. */
  readonly serverName: string | null
}

export const SYSTEM_TRUST: UpstreamTls = { ca: null, serverName: null }

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g

/** Reads and checks the certificates to trust while the configuration is loaded; mistakes are reported at `caFile`. */
export const prepareUpstreamTls = (
  { tls }: UpstreamConfig,
  { readFile, report }: Pick<Preparation, 'readFile' | 'report'>,
): UpstreamTls => {
  const serverName = tls?.serverName ?? null
  if (tls?.caFile === undefined) return { ca: null, serverName }
  const path = ['tls', 'caFile']
  const ca = readFile(tls.caFile, path)
  if (ca !== null && !holdsCertificates(ca)) {
    report({ path, rule: 'upstream-tls', message: 'the file does not hold certificates as PEM' })
  }
  return { ca, serverName }
}

const holdsCertificates = (content: Buffer): boolean => {
  const blocks = content.toString('latin1').match(PEM_CERTIFICATE)
  try {
    return blocks?.map((block) => new X509Certificate(block)) !== undefined
  } catch {
    return false
  }
}
