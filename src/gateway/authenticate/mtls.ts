import type { X509Certificate } from 'node:crypto'
import { z } from 'zod'
import type { Identity } from '../../core/identity.ts'
import type { JsonObject } from '../../core/json.ts'
import type { PeerCertificate } from '../../core/peer-certificate.ts'
import { isRefusal, type Refusal } from '../../core/refusals.ts'
import type { Preparation, Settings } from '../../core/settings.ts'
import {
  type AuthenticatorBody,
  badCredential,
  type Description,
  defineAuthenticator,
  type Verification,
} from './authenticator.ts'
import { certificateClaims } from './certificate-claims.ts'
import { type CertificateExtensions, certificateExtensions } from './certificate-extensions.ts'
import { credentialDigest } from './credential-digest.ts'
import { isTrustDomain } from './spiffe-id.ts'
import { compileSubject, literalType, prefixField, subjectConfig, type ToSubject } from './subject.ts'
import { isTimely, leadsTo, parseTrustBundle } from './trust-bundle.ts'
import { isForClients, type Svid, svidOf } from './x509-svid.ts'

const SUBJECT_OF_CERTIFICATE = { type: 'Workload', id: '$claims.spiffeId' } as const

const mtlsConfig = (s: Settings) =>
  z.strictObject({
    type: z.literal('mtls'),
    spiffe: z
      .strictObject({
        trustDomain: z
          .string()
          .refine(isTrustDomain, 'expected the name of a trust domain, such as corp.example')
          .describe('Trust domain that the SPIFFE ID must be of.'),
      })
      .optional()
      .describe('Takes only X.509-SVIDs of a trust domain, default any certificate.'),
    bundle: s
      .path()
      .optional()
      .describe(
        'File with those who may have issued the certificate, as PEM or as a SPIFFE bundle; default whomever the listener or the proxy has accepted.',
      ),
    subject: subjectConfig(SUBJECT_OF_CERTIFICATE)
      .optional()
      .describe(
        'Makes the subject of claims.spiffeId, subject, issuer, san, serialNumber and thumbprint; default { type: Workload, id: <SPIFFE ID> }.',
      ),
    prefix: prefixField(),
  })

type MtlsConfig = z.infer<ReturnType<typeof mtlsConfig>>

/**
 * A client certificate, shown to a listener or to a trusted proxy in front of it.
 *
 * @see https://www.rfc-editor.org/rfc/rfc5280 and https://www.rfc-editor.org/rfc/rfc9440
 */
export const mtls = defineAuthenticator({
  type: 'mtls',
  config: mtlsConfig,
  prepare: (name, config, preparation) => {
    const prefix = config.prefix ?? ''
    const mapping = config.subject ?? SUBJECT_OF_CERTIFICATE
    const toSubject = compileSubject(name, mapping, prefix, preparation)
    const roots = readBundle(config, preparation)
    const trustDomain = config.spiffe?.trustDomain ?? null
    const type = literalType(mapping.type)
    const description: Description = {
      carrier: { kind: 'peer-certificate' },
      selector: trustDomain === null ? {} : { 'trust domain': trustDomain },
      subjectTypes: type === null ? null : [type],
      prefix,
    }
    return { description, create: () => createMtls({ name, trustDomain, roots, toSubject }) }
  },
})

const readBundle = ({ bundle }: MtlsConfig, preparation: Preparation): readonly X509Certificate[] | null => {
  const content = bundle === undefined ? null : preparation.readFile(bundle, ['bundle'])
  if (content === null) return null
  const roots = parseTrustBundle(content)
  if (typeof roots !== 'string') return roots
  preparation.report({ path: ['bundle'], message: `the trust bundle: ${roots}` })
  return null
}

const PATH_KEPT_MS = 60_000

interface MtlsParts {
  readonly name: string
  readonly trustDomain: string | null
  /** Null: no more is asked than the listener or the proxy has. */
  readonly roots: readonly X509Certificate[] | null
  readonly toSubject: ToSubject
}

const createMtls = (parts: MtlsParts): AuthenticatorBody => ({
  challenge: null,
  declines: (_presented, { peerCertificate }) => {
    if (parts.trustDomain === null) return null
    const known = peerCertificate ? read(peerCertificate) : 'there is none'
    if (typeof known === 'string') return known
    return svidProblem(known.svid, parts.trustDomain)
  },
  authenticate: ({ digest }, { request, nowMs }) => {
    const { peerCertificate } = request
    if (!peerCertificate) return badCredential(parts.name, 'no certificate was shown')
    return verify(peerCertificate, digest, nowMs, parts)
  },
  fromClaims: (claims) => identify(claims, null, credentialDigest(parts.name, ''), parts),
})

interface Read {
  readonly extensions: CertificateExtensions
  readonly svid: Svid | string
}

const knownReads = new WeakMap<PeerCertificate, Read | string>()

const read = (certificate: PeerCertificate): Read | string => {
  const known = knownReads.get(certificate)
  if (known !== undefined) return known
  const extensions = certificateExtensions(certificate.x509.raw)
  const result =
    extensions === null
      ? 'the extensions of the certificate cannot be read'
      : { extensions, svid: svidOf(certificate.x509, extensions) }
  knownReads.set(certificate, result)
  return result
}

const svidProblem = (svid: Svid | string, trustDomain: string): string | null => {
  if (typeof svid === 'string') return svid
  return svid.trustDomain === trustDomain ? null : 'the certificate is of another trust domain'
}

const verify = (
  certificate: PeerCertificate,
  digest: string,
  nowMs: number,
  { name, trustDomain, roots, ...parts }: MtlsParts,
): Verification => {
  const { x509, issuers } = certificate
  const known = read(certificate)
  if (typeof known === 'string') return badCredential(name, known)
  const { extensions, svid } = known
  const problem = trustDomain === null ? null : svidProblem(svid, trustDomain)
  if (problem !== null) return badCredential(name, problem)
  if (!isTimely(x509, nowMs)) return badCredential(name, 'the certificate is not valid at this time')
  if (!isForClients(x509)) return badCredential(name, 'the certificate is not for clients')
  if (roots !== null && !leadsTo(x509, issuers, roots, nowMs)) {
    return badCredential(name, 'the certificate does not come from the trust bundle')
  }
  const spiffeId = typeof svid === 'string' ? null : svid.id
  const claims = certificateClaims(certificate, extensions, spiffeId)
  const all = { ...parts, name, trustDomain, roots }
  const identity = identify(claims, certificate, credentialDigest(name, digest), all)
  if (isRefusal(identity)) return identity
  const endMs = Date.parse(x509.validTo)
  // Those who have issued it have an end, too.
  const untilMs = roots === null ? endMs : Math.min(endMs, nowMs + PATH_KEPT_MS)
  return { identity, keep: { untilMs, vouched: () => true } }
}

const identify = (
  claims: JsonObject,
  certificate: PeerCertificate | null,
  digest: string,
  { name, toSubject }: MtlsParts,
): Identity | Refusal => {
  const subject = toSubject(claims)
  if (isRefusal(subject)) return subject
  const { notBefore, notAfter, thumbprint } = claims
  const credential = {
    type: 'mtls',
    authenticator: name,
    id: typeof thumbprint === 'string' ? thumbprint : digest,
    ...(certificate === null ? {} : { issuer: certificate.x509.issuer.replaceAll('\n', ', ') }),
    ...(typeof notBefore === 'number' ? { issuedAt: notBefore } : {}),
    ...(typeof notAfter === 'number' ? { expiresAt: notAfter } : {}),
    digest,
  }
  return { subject, credential, claims }
}
