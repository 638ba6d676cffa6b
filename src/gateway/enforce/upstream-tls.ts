import { type CertificatePair, holdsCertificates, pairProblem } from '../../core/pem-files.ts'
import type { Preparation } from '../../core/settings.ts'
import type { UpstreamConfig } from './config.ts'

/** How the certificates of an application are verified, and which one it is shown. */
export interface UpstreamTls {
  /** PEM; null: those that Node trusts. */
  readonly ca: Buffer | null
  /** Null: the host of the URL. */
  readonly serverName: string | null
  /** PEM; left out: none is shown. */
  readonly client?: CertificatePair | null
}

export const SYSTEM_TRUST: UpstreamTls = { ca: null, serverName: null }

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

const readClient = ({ tls }: UpstreamConfig, { readFile, report }: Deps): CertificatePair | null => {
  if (tls?.certFile === undefined || tls.keyFile === undefined) return null
  const cert = readFile(tls.certFile, ['tls', 'certFile'])
  const key = readFile(tls.keyFile, ['tls', 'keyFile'])
  if (cert === null || key === null) return null
  const problem = pairProblem({ cert, key })
  if (problem !== null)
    report({ path: ['tls', problem.field], rule: 'upstream-tls', message: problem.message })
  return { cert, key }
}
