import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'

/** A certificate with its key, as the files of a configuration hold them. */
export interface TestCertificate {
  /** PEM. */
  readonly cert: string
  /** PEM. */
  readonly key: string
  /** Issues another one. */
  readonly issue: (subject: CertificateSubject) => TestCertificate
  /** Issues another authority. */
  readonly issueAuthority: (commonName: string) => TestCertificate
}

export interface CertificateSubject {
  readonly commonName: string
  /** DNS names, and addresses of IPv4. */
  readonly names?: readonly string[]
  /** Alternative names of the kind URI. */
  readonly uris?: readonly string[]
  /** Numbers of the bits of the key usage, which is critical; default there is none. */
  readonly keyUsage?: readonly number[]
  /** Last numbers of the purposes 1.3.6.1.5.5.7.3.x; default there are none. */
  readonly purposes?: readonly number[]
  /** Says so itself, whoever has issued it. */
  readonly isAuthority?: boolean
  /** Milliseconds since the epoch; default an hour ago. */
  readonly fromMs?: number
  /** Default in a day. */
  readonly toMs?: number
}

/** A certificate authority of a test's own. Nothing but Node is needed, and no file is written. */
export const createAuthority = (commonName = 'test authority'): TestCertificate =>
  certify({ commonName }, null, true)

interface Issuer {
  readonly name: Buffer
  readonly key: KeyObject
}

const certify = (
  subject: CertificateSubject,
  issuer: Issuer | null,
  isAuthority: boolean,
): TestCertificate => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const name = nameOf(subject.commonName)
  const { fromMs = Date.now() - 3_600_000, toMs = Date.now() + 86_400_000 } = subject
  const body = sequence(
    tagged(0xa0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ECDSA_SHA256,
    issuer?.name ?? name,
    sequence(time(fromMs), time(toMs)),
    name,
    publicKey.export({ format: 'der', type: 'spki' }),
    tagged(0xa3, sequence(...extensions(subject, isAuthority || subject.isAuthority === true, publicKey))),
  )
  const signature = sign('sha256', body, issuer?.key ?? privateKey)
  const der = sequence(body, ECDSA_SHA256, tagged(0x03, Buffer.from([0]), signature))
  return {
    cert: pem(der),
    key: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    issue: (other) => certify(other, { name, key: privateKey }, false),
    issueAuthority: (commonName) => certify({ commonName }, { name, key: privateKey }, true),
  }
}

/** @see https://www.rfc-editor.org/rfc/rfc5280#section-4.2 */
const extensions = (subject: CertificateSubject, isAuthority: boolean, key: KeyObject): readonly Buffer[] => {
  const { names = [], uris = [], keyUsage, purposes = [] } = subject
  const alternatives = [
    ...names.map(generalName),
    ...uris.map((uri) => tagged(0x86, Buffer.from(uri, 'latin1'))),
  ]
  const keyId = createHash('sha1')
    .update(key.export({ format: 'der', type: 'spki' }))
    .digest()
  const constraints = isAuthority ? sequence(tagged(0x01, Buffer.from([0xff]))) : sequence()
  const extension = (id: number, value: Buffer): Buffer =>
    sequence(tagged(0x06, Buffer.from([0x55, 0x1d, id])), tagged(0x04, value))
  return [
    extension(0x13, constraints),
    extension(0x0e, tagged(0x04, keyId)),
    ...(alternatives.length === 0 ? [] : [extension(0x11, sequence(...alternatives))]),
    ...(keyUsage === undefined ? [] : [criticalExtension(0x0f, usageBits(keyUsage))]),
    ...(purposes.length === 0 ? [] : [extension(0x25, sequence(...purposes.map(purpose)))]),
  ]
}

const criticalExtension = (id: number, value: Buffer): Buffer =>
  sequence(
    tagged(0x06, Buffer.from([0x55, 0x1d, id])),
    tagged(0x01, Buffer.from([0xff])),
    tagged(0x04, value),
  )

const usageBits = (bits: readonly number[]): Buffer =>
  tagged(0x03, Buffer.from([0, bits.reduce((byte, bit) => byte | (0x80 >> bit), 0)]))

const purpose = (last: number): Buffer =>
  tagged(0x06, Buffer.from([0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, last]))

const generalName = (name: string): Buffer =>
  /^[0-9.]+$/.test(name)
    ? tagged(0x87, Buffer.from(name.split('.').map(Number)))
    : tagged(0x82, Buffer.from(name, 'latin1'))

const nameOf = (commonName: string): Buffer =>
  sequence(
    tagged(
      0x31,
      sequence(tagged(0x06, Buffer.from([0x55, 0x04, 0x03])), tagged(0x0c, Buffer.from(commonName))),
    ),
  )

/** DER: tag, length, value. */
const tagged = (tag: number, ...parts: readonly Buffer[]): Buffer => {
  const content = Buffer.concat(parts)
  const { length } = content
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

const sequence = (...parts: readonly Buffer[]): Buffer => tagged(0x30, ...parts)

const integer = (bytes: Buffer): Buffer => tagged(0x02, bytes)

const time = (ms: number): Buffer =>
  tagged(0x18, Buffer.from(`${new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '')}`))

/** `ecdsa-with-SHA256`. */
const ECDSA_SHA256 = sequence(tagged(0x06, Buffer.from('2a8648ce3d040302', 'hex')))

const pem = (der: Buffer): string =>
  `-----BEGIN CERTIFICATE-----\n${(der.toString('base64').match(/.{1,64}/g) ?? []).join('\n')}\n-----END CERTIFICATE-----\n`
