import { type DerValue, derValueAt, derValuesIn } from './der.ts'
import { formatAddress } from './san-address.ts'

/** What the extensions of a certificate say of its use and of whose it is. */
export interface CertificateExtensions {
  readonly isAuthority: boolean
  /** Null: it does not say. */
  readonly keyUsage: { readonly critical: boolean; readonly bits: ReadonlySet<KeyUsage> } | null
  readonly names: SubjectNames
}

export type KeyUsage = 'digitalSignature' | 'keyCertSign' | 'cRLSign'

/** The subject alternative names. */
export interface SubjectNames {
  readonly uri: readonly string[]
  readonly dns: readonly string[]
  readonly email: readonly string[]
  readonly ip: readonly string[]
}

const EXTENSIONS_TAG = 0xa3
const SEQUENCE = 0x30
const BOOLEAN = 0x01
const OCTET_STRING = 0x04
const BIT_STRING = 0x03

const OID_KEY_USAGE = '551d0f'
const OID_ALTERNATIVE_NAMES = '551d11'
const OID_BASIC_CONSTRAINTS = '551d13'

/** @see https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.3 */
const USAGE_BITS: ReadonlyMap<number, KeyUsage> = new Map<number, KeyUsage>([
  [0, 'digitalSignature'],
  [5, 'keyCertSign'],
  [6, 'cRLSign'],
])

interface Extension {
  readonly critical: boolean
  readonly value: Buffer
}

const NO_NAMES: SubjectNames = { uri: [], dns: [], email: [], ip: [] }

/**
 * Reads the extensions that say whose a certificate is; null when they cannot be read, or one comes twice.
 *
 * They are read from the bytes, since a name in text may hold what separates names.
 *
 * @see https://www.rfc-editor.org/rfc/rfc5280#section-4.2
 */
export const certificateExtensions = (der: Buffer): CertificateExtensions | null => {
  const extensions = extensionsOf(der)
  if (extensions === null) return null
  const constraints = extensions.get(OID_BASIC_CONSTRAINTS)
  const usage = extensions.get(OID_KEY_USAGE)
  const alternatives = extensions.get(OID_ALTERNATIVE_NAMES)
  const isAuthority = constraints === undefined ? false : authorityOf(constraints)
  const bits = usage === undefined ? null : usageOf(usage)
  const names = alternatives === undefined ? NO_NAMES : namesOf(alternatives)
  if (isAuthority === null || names === null || (usage !== undefined && bits === null)) return null
  const keyUsage = usage === undefined || bits === null ? null : { critical: usage.critical, bits }
  return { isAuthority, keyUsage, names }
}

const extensionsOf = (der: Buffer): ReadonlyMap<string, Extension> | null => {
  const certificate = derValueAt(der, 0)
  const body = certificate === null ? null : derValueAt(certificate.content, 0)
  const fields = body === null ? null : derValuesIn(body.content)
  if (fields === null) return null
  const holder = fields.find(({ tag }) => tag === EXTENSIONS_TAG)
  if (holder === undefined) return new Map()
  const list = derValueAt(holder.content, 0)
  const each = list === null ? null : derValuesIn(list.content)
  if (each === null) return null
  const extensions = new Map<string, Extension>()
  for (const { tag, content } of each) {
    const parts = tag === SEQUENCE ? derValuesIn(content) : null
    const id = parts?.[0]?.content.toString('hex')
    const value = parts?.at(-1)
    if (id === undefined || value?.tag !== OCTET_STRING || extensions.has(id)) return null
    const critical = parts?.length === 3 && parts[1]?.tag === BOOLEAN && parts[1].content[0] !== 0
    extensions.set(id, { critical, value: value.content })
  }
  return extensions
}

const authorityOf = ({ value }: Extension): boolean | null => {
  const constraints = derValueAt(value, 0)
  const parts = constraints === null ? null : derValuesIn(constraints.content)
  if (parts === null) return null
  const [first] = parts
  return first?.tag === BOOLEAN && first.content[0] !== 0
}

const usageOf = ({ value }: Extension): ReadonlySet<KeyUsage> | null => {
  const string = derValueAt(value, 0)
  if (string?.tag !== BIT_STRING) return null
  const bits = new Set<KeyUsage>()
  for (const [bit, usage] of USAGE_BITS) {
    const byte = string.content[1 + (bit >> 3)] ?? 0
    if ((byte & (0x80 >> (bit & 7))) !== 0) bits.add(usage)
  }
  return bits
}

const namesOf = ({ value }: Extension): SubjectNames | null => {
  const list = derValueAt(value, 0)
  const each = list === null ? null : derValuesIn(list.content)
  if (each === null) return null
  const texts = (wanted: number): readonly string[] =>
    each.filter(({ tag }) => tag === wanted).map(({ content }) => content.toString('latin1'))
  const addresses = each
    .filter(({ tag }) => tag === 0x87)
    .map(({ content }: DerValue) => formatAddress(content))
  return { email: texts(0x81), dns: texts(0x82), uri: texts(0x86), ip: addresses.filter((ip) => ip !== null) }
}
