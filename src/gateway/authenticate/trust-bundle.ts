import { X509Certificate } from 'node:crypto'
import type { JsonValue } from '../../core/json.ts'
import { isJsonObject } from '../../core/json.ts'
import { parseStrictJson } from '../../core/strict-json.ts'

const PEM = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g
const MOST_ROOTS = 200
/** The most certificates between a leaf and its root. */
const MOST_DEPTH = 8

/**
 * Reads whom certificates are taken from: PEM, or a SPIFFE bundle, of which `x509-svid` keys count.
 *
 * @returns a string when it is neither, or holds nothing: why.
 * @see https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Trust_Domain_and_Bundle.md section 4
 */
export const parseTrustBundle = (content: Buffer): readonly X509Certificate[] | string => {
  const text = content.toString('utf8').replace(/^\uFEFF/, '')
  const encoded = text.trimStart().startsWith('{') ? fromJson(text) : (text.match(PEM) ?? [])
  if (typeof encoded === 'string') return encoded
  if (encoded.length === 0) return 'it holds no certificate'
  if (encoded.length > MOST_ROOTS) return `it holds more than ${MOST_ROOTS} certificates`
  try {
    return encoded.map((each) => new X509Certificate(each))
  } catch {
    return 'a certificate in it cannot be read'
  }
}

const fromJson = (text: string): readonly Buffer[] | string => {
  const json = parseStrictJson(text, { caseInsensitiveDuplicates: false })
  if ('problem' in json) return `it is not acceptable JSON: ${json.problem}`
  const keys = isJsonObject(json.value) ? json.value.keys : undefined
  if (!Array.isArray(keys)) return 'it has no list of "keys"'
  return keys.flatMap((key: JsonValue) => {
    if (!isJsonObject(key) || key.use !== 'x509-svid' || !Array.isArray(key.x5c)) return []
    // Only the first counts: there are no chains in a bundle.
    const first: unknown = key.x5c[0]
    return typeof first === 'string' ? [Buffer.from(first, 'base64')] : []
  })
}

/**
 * True when a path leads from the certificate over what came with it to one of the roots, at this time.
 *
 * Does not check: name constraints, path length constraints, revocation.
 *
 * @see https://www.rfc-editor.org/rfc/rfc5280#section-6
 */
export const leadsTo = (
  leaf: X509Certificate,
  issuers: readonly X509Certificate[],
  roots: readonly X509Certificate[],
  nowMs: number,
): boolean => {
  let current = leaf
  for (let depth = 0; depth <= MOST_DEPTH; depth += 1) {
    if (!isTimely(current, nowMs)) return false
    const child = current
    if (roots.some((root) => isTimely(root, nowMs) && isIssuedBy(child, root))) return true
    const next = issuers.find((issuer) => issuer !== child && isIssuedBy(child, issuer))
    if (next === undefined) return false
    current = next
  }
  return false
}

const isIssuedBy = (certificate: X509Certificate, issuer: X509Certificate): boolean => {
  if (!issuer.ca || !certificate.checkIssued(issuer)) return false
  try {
    return certificate.verify(issuer.publicKey)
  } catch {
    return false
  }
}

export const isTimely = ({ validFrom, validTo }: X509Certificate, nowMs: number): boolean =>
  Date.parse(validFrom) <= nowMs && nowMs < Date.parse(validTo)
