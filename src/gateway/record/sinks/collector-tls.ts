import { type CertificatePair, holdsCertificates, pairProblem } from '../../../core/pem-files.ts'
import type { Preparation } from '../../../core/settings.ts'
import type { HttpConfig } from './http-config.ts'

/** How the certificate of a collector is verified, and which one it is shown. */
export interface CollectorTls {
  /** PEM of the authorities to trust; null: those of the system. */
  readonly ca: Buffer | null
  /** Name that the certificate must have; null: the host of the URL. */
  readonly serverName: string | null
  /** Left out: none is shown. */
  readonly client?: CertificatePair | null
}

/** Reads and checks the files of a sink's `tls`; mistakes are reported at their fields. */
export const prepareCollectorTls = (
  { tls }: Pick<HttpConfig, 'tls'>,
  { readFile, report }: Pick<Preparation, 'readFile' | 'report'>,
): CollectorTls => {
  const read = (field: 'caFile' | 'certFile' | 'keyFile'): Buffer | null => {
    const path = tls?.[field]
    return path === undefined ? null : readFile(path, ['tls', field])
  }
  const [ca, cert, key] = [read('caFile'), read('certFile'), read('keyFile')]
  if (ca !== null && !holdsCertificates(ca)) {
    const message = 'the file does not hold certificates as PEM'
    report({ path: ['tls', 'caFile'], rule: 'collector-tls', message })
  }
  const client = cert === null || key === null ? null : { cert, key }
  const problem = client === null ? null : pairProblem(client)
  if (problem !== null) {
    report({ path: ['tls', problem.field], rule: 'collector-tls', message: problem.message })
  }
  return { ca, serverName: tls?.serverName ?? null, client }
}
