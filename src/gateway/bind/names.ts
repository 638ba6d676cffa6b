/** Where expressions may read. `claims` is the mapping of an authenticator. */
export type Place = 'evaluation' | 'headers' | 'rewrite' | 'claims'

export type Root = 'request' | 'path' | 'claims' | 'subject' | 'credential' | 'body' | 'route' | 'secrets'

/** Who answers for a value: its absence is the caller's mistake (400), a matter of who calls (403), or ours. */
export type Origin = 'request' | 'identity' | 'configuration'

interface RootEntry {
  readonly origin: Origin
  /** The members there are; null for data, whose keys are known only when a request comes. */
  readonly members: readonly string[] | null
}

export const ROOTS: ReadonlyMap<Root, RootEntry> = new Map<Root, RootEntry>([
  [
    'request',
    {
      origin: 'request',
      members: ['id', 'method', 'scheme', 'host', 'path', 'query', 'headers', 'posture', 'ip', 'time', 'tls'],
    },
  ],
  ['path', { origin: 'request', members: null }],
  ['claims', { origin: 'identity', members: null }],
  ['subject', { origin: 'identity', members: ['type', 'id', 'properties'] }],
  [
    'credential',
    {
      origin: 'identity',
      members: ['type', 'id', 'issuer', 'issuedAt', 'expiresAt', 'ageSeconds', 'rotationDue'],
    },
  ],
  ['body', { origin: 'request', members: null }],
  ['route', { origin: 'configuration', members: ['name', 'owner', 'mode', 'engine', 'upstream'] }],
  ['secrets', { origin: 'configuration', members: null }],
])

const MAPPING_ROOTS: readonly Root[] = ['request', 'path', 'claims', 'subject', 'credential', 'body', 'route']

const PLACE_ROOTS: Readonly<Record<Place, readonly Root[]>> = {
  evaluation: MAPPING_ROOTS,
  rewrite: MAPPING_ROOTS,
  headers: [...MAPPING_ROOTS, 'secrets'],
  claims: ['claims'],
}

/** The names that expressions of one place may start from. */
export const rootsOf = (place: Place): readonly Root[] => PLACE_ROOTS[place]

export const isRoot = (name: string): name is Root => {
  const known: ReadonlyMap<string, RootEntry> = ROOTS
  return known.has(name)
}

/** Does not check that `root` may be read where it was found. */
export const originOf = (root: Root): Origin => ROOTS.get(root)?.origin ?? 'configuration'

/** Names of CEL itself that stand where a variable could. */
export const CEL_CONSTANTS: ReadonlySet<string> = new Set([
  'bool',
  'bytes',
  'cel',
  'double',
  'google',
  'int',
  'list',
  'map',
  'null_type',
  'optional',
  'string',
  'type',
  'uint',
])

/**
 * Headers that no expression may read: what they say is said better elsewhere, or is secret.
 *
 * Names in lower case; the text is what to do instead.
 */
export const UNREADABLE_HEADERS: ReadonlyMap<string, string> = new Map([
  ['authorization', 'credentials cannot be mapped; read claims, subject or credential'],
  ['proxy-authorization', 'credentials cannot be mapped; read claims, subject or credential'],
  ['host', 'read request.host, which has one spelling'],
  ['forwarded', 'anybody can send it; read request.ip, request.host or request.scheme'],
  ['x-forwarded-for', 'anybody can send it; read request.ip'],
  ['x-forwarded-host', 'anybody can send it; read request.host'],
  ['x-forwarded-proto', 'anybody can send it; read request.scheme'],
])
