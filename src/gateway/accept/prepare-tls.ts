import { createHash, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import type { Problem } from '../../core/problem.ts'
import type { Preparation } from '../../core/settings.ts'
import { type Certificate, contextOptions, type TlsMaterial } from './tls.ts'
import type { TlsConfig } from './tls-config.ts'

type Deps = Pick<Preparation, 'clock' | 'readFile' | 'report'>
type Place = Problem['path']

interface CertificateFiles {
  readonly certFile: string
  readonly keyFile: string
  readonly hosts?: readonly string[] | undefined
}

const RULE = 'tls'

/**
 * Reads and checks the certificates of a listener while the configuration is loaded; each mistake is reported at the
 * field that names the file. One that is out of its time is a warning.
 *
 * Does not check: that callers trust the issuer, or that the intermediates are complete.
 *
 * @param at where `tls` is in its entry.
 * @returns null after something was reported.
 */
export const prepareTls = (config: TlsConfig, at: Place, deps: Deps): TlsMaterial | null => {
  const { clientCaFile, clientCert = clientCaFile === undefined ? 'none' : 'required' } = config
  const fallback = readCertificate(config, at, deps)
  const others = config.certificates.map((files, index) => {
    const place = [...at, 'certificates', index]
    const certificate = readCertificate(files, place, deps)
    if (certificate !== null && certificate.hosts.length === 0) {
      const message = 'the certificate holds no DNS name, expected hosts with the names that it is for'
      deps.report({ path: [...place, 'certFile'], rule: RULE, message })
    }
    return certificate
  })
  reportRepeatedHosts(others, at, deps)
  const clientCa =
    clientCaFile === undefined ? null : readIssuers(clientCaFile, [...at, 'clientCaFile'], deps)
  if (clientCert !== 'none' && clientCaFile === undefined) {
    const message = `found ${clientCert}, expected clientCaFile with it, since nothing else says whose certificates are good`
    deps.report({ path: [...at, 'clientCert'], rule: RULE, message })
    return null
  }
  if (fallback === null || others.includes(null) || (clientCaFile !== undefined && clientCa === null))
    return null
  const good = others.filter((each) => each !== null)
  const known = { fallback, others: good, clientCa, clientCert }
  return { ...known, fingerprint: fingerprintOf(known) }
}

const readCertificate = (
  { certFile, keyFile, hosts }: CertificateFiles,
  at: Place,
  deps: Deps,
): Certificate | null => {
  const cert = deps.readFile(certFile, [...at, 'certFile'])
  const key = deps.readFile(keyFile, [...at, 'keyFile'])
  const leaf = cert === null ? null : readLeaf(cert, [...at, 'certFile'], deps)
  const privateKey = key === null ? null : readKey(key, [...at, 'keyFile'], deps)
  if (cert === null || key === null || leaf === null || privateKey === null) return null
  if (!leaf.checkPrivateKey(privateKey)) {
    const message = 'the key is not that of the certificate'
    deps.report({ path: [...at, 'keyFile'], rule: RULE, message })
    return null
  }
  try {
    createSecureContext(contextOptions({ cert, key }, null))
  } catch (error) {
    const message = `the certificate cannot be used: ${codeOf(error)}`
    deps.report({ path: [...at, 'certFile'], rule: RULE, message })
    return null
  }
  warnOfTime(leaf, [...at, 'certFile'], deps)
  return { hosts: (hosts ?? namesIn(leaf)).map((host) => host.toLowerCase()), cert, key }
}

/** The first certificate of a file; all behind it must be certificates, too. */
const readLeaf = (content: Buffer, path: Place, { report }: Deps): X509Certificate | null => {
  const [leaf] = parseCertificates(content) ?? []
  if (leaf !== undefined) return leaf
  report({ path, rule: RULE, message: 'the file does not hold a certificate as PEM' })
  return null
}

const readIssuers = (file: string, path: Place, deps: Deps): Buffer | null => {
  const content = deps.readFile(file, path)
  if (content === null) return null
  const issuers = parseCertificates(content)
  if (issuers === null) {
    deps.report({ path, rule: RULE, message: 'the file does not hold certificates as PEM' })
    return null
  }
  for (const issuer of issuers) warnOfTime(issuer, path, deps)
  return content
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g

/** Null when there is none, or one of them is broken. */
const parseCertificates = (content: Buffer): readonly X509Certificate[] | null => {
  const blocks = content.toString('latin1').match(PEM_CERTIFICATE)
  if (blocks === null) return null
  try {
    return blocks.map((block) => new X509Certificate(block))
  } catch {
    return null
  }
}

/** What is wrong with a key is not told further: the message might quote it. */
const readKey = (content: Buffer, path: Place, { report }: Deps): KeyObject | null => {
  try {
    return createPrivateKey(content)
  } catch {
    const message = 'the file does not hold a private key as PEM without a passphrase'
    report({ path, rule: RULE, message })
    return null
  }
}

const warnOfTime = (certificate: X509Certificate, path: Place, { clock, report }: Deps): void => {
  const nowMs = clock.nowMs()
  const warn = (message: string): void => {
    report({ path, severity: 'warning', rule: 'tls-certificate-time', message })
  }
  if (Date.parse(certificate.validTo) <= nowMs) warn(`a certificate has expired: ${certificate.validTo}`)
  else if (Date.parse(certificate.validFrom) > nowMs) {
    warn(`a certificate is not valid yet, but from ${certificate.validFrom} on`)
  }
}

const namesIn = ({ subjectAltName = '' }: X509Certificate): readonly string[] =>
  [...subjectAltName.matchAll(/(?:^|, )DNS:([^,"]+)/g)].map(([, name = '']) => name)

const reportRepeatedHosts = (
  certificates: readonly (Certificate | null)[],
  at: Place,
  { report }: Deps,
): void => {
  const seen = new Set<string>()
  for (const [index, certificate] of certificates.entries()) {
    for (const host of certificate?.hosts ?? []) {
      if (seen.has(host)) {
        const message = `found a second certificate for ${host}, expected one a name`
        report({ path: [...at, 'certificates', index], rule: RULE, message })
      }
      seen.add(host)
    }
  }
}

const fingerprintOf = (material: Omit<TlsMaterial, 'fingerprint'>): string => {
  const { fallback, others, clientCa, clientCert } = material
  const parts = [fallback, ...others].map(({ hosts, cert, key }) => [hosts, digest(cert), digest(key)])
  return JSON.stringify([parts, clientCa === null ? null : digest(clientCa), clientCert])
}

const digest = (content: Buffer): string => createHash('sha256').update(content).digest('base64url')

const codeOf = (error: unknown): string => {
  const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined
  return typeof code === 'string' ? code : 'OpenSSL does not take it'
}
