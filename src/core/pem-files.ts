import { createPrivateKey, X509Certificate } from 'node:crypto'

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g

/** True when there is a certificate at least, and each one can be read. */
export const holdsCertificates = (content: Buffer): boolean => {
  const blocks = content.toString('latin1').match(PEM_CERTIFICATE)
  try {
    return blocks?.map((block) => new X509Certificate(block)) !== undefined
  } catch {
    return false
  }
}

/** A certificate with its key, as PEM. */
export interface CertificatePair {
  readonly cert: Buffer
  readonly key: Buffer
}

/** What is wrong with a pair, at which of its fields `certFile` and `keyFile`; what is wrong with a key is not told further, since the message might quote it. */
export const pairProblem = ({
  cert,
  key,
}: CertificatePair): { readonly field: string; readonly message: string } | null => {
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
