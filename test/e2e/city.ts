import { createHash } from 'node:crypto'
import type { World } from '../support/gateway.ts'
import { jwksOf, makeKey, type TestKey } from '../support/tokens.ts'

/** Everything that a caller must never be able to find again; each is unlike any other text in a run. */
export interface Credentials {
  /** Tokens for `Authorization: Bearer`, by subject. */
  readonly tokens: ReadonlyMap<string, string>
  /** Of the cookie `session`; its subject is `visitor`. */
  readonly session: string
  /** Of `X-Api-Key`; its subject is `acme`. */
  readonly apiKey: string
  /** A well-formed token for alice by a key that nobody knows. */
  readonly forged: string
  readonly adminToken: string
}

/** A configuration to start a gateway with, and the credentials that it knows. */
export interface City {
  readonly world: World
  readonly env: Readonly<Record<string, string>>
  readonly credentials: Credentials
  readonly staffKey: TestKey
}

export interface CityOptions {
  readonly upstream: string
  /** Lines of the gateway file that are added at its top level, or replace what is there. */
  readonly settings?: Readonly<Record<string, string>>
}

export const HOST = 'city.test'

const ROUTES = `defaults: { host: ${HOST}, upstream: core, engine: city, authenticate: [staff, browser, partners] }
routes:
  - name: account
    match: GET /accounts/{id}
    evaluation: { action: read, resource: { type: Account, id: $path.id, properties: { name: $path.id } } }
    headers: { X-Remote-User: $subject.id }
    grant: { ttl: 15s }
  - name: transfer
    match: POST /accounts/{from}/transfers
    evaluations:
      action: pay
      evaluations:
        - resource: { type: Account, id: $path.from, properties: { name: $path.from } }
        - resource: { type: Account, id: $body.to, properties: { name: $body.to } }
    headers: { X-Remote-User: $subject.id }
    grant: none
  - name: file
    match: "* /files/{*rest}"
    evaluation: { action: touch, resource: { type: File, id: $path.rest, properties: { name: $path.rest } } }
    headers: { X-Remote-User: $subject.id }
  - name: blob
    match: "* /blobs/{id}"
    allowEncodedSlash: true
    allowPathParameters: true
    evaluation: { action: touch, resource: { type: Blob, id: $path.id, properties: { name: $path.id } } }
    headers: { X-Remote-User: $subject.id }
  - name: search
    match: GET /search
    evaluation: { action: read, resource: { type: Query, id: $request.query.q, properties: { name: $request.query.q } } }
    headers: { X-Remote-User: $subject.id }
  - name: tenant
    match: GET /tenant
    evaluation:
      action: read
      resource: { type: Tenant, id: "$request.headers['x-tenant']", properties: { name: "$request.headers['x-tenant']" } }
    headers: { X-Remote-User: $subject.id }
  - name: moved
    match: GET /old/{id}
    rewrite: $'/v2/things/' + path.id
    evaluation: { action: read, resource: { type: Thing, id: $path.id, properties: { name: $path.id } } }
    headers: { X-Remote-User: $subject.id }
  - name: page
    host: "*.pages.test"
    match: "* /{*rest}"
    evaluation:
      action: touch
      resource: { type: Page, id: $request.host + '/' + path.rest, properties: { name: $path.rest } }
    headers: { X-Remote-User: $subject.id }
  - { name: health, match: GET /health, access: public }
`

/** Everybody but bob may do everything but what has `secret` in its name. */
const POLICIES = `@id("guests-welcome")
permit (principal, action, resource) unless { principal == User::"bob" };

@id("no-secrets")
forbid (principal, action, resource) when { resource has name && resource.name like "*secret*" };
`

/** Of `limits`: no refusal is only counted, however many there are. */
export const EACH_RECORDED = 'refusalRecords: { perAddress: 1000000 }'

const GATEWAY: Readonly<Record<string, string>> = {
  version: '1',
  listeners: '[{ bind: 127.0.0.1:0 }]',
  admin: '{ bind: 127.0.0.1:0, token: { env: ADMIN_TOKEN } }',
  authenticators: `
  staff: { type: jwt, issuer: https://idp.test, audience: city, jwksFile: staff.json }
  browser: { type: jwt, issuer: https://login.test, audience: city, jwksFile: browser.json, cookie: session, prefix: "web|" }
  partners: { type: api-key, keysFile: keys.yaml }`,
  engines: '{ city: { type: cedar, policies: [../policies/*.cedar] } }',
  audit: '[{ type: file, path: ../log/decisions.ndjson, chain: true }]',
  // Each refusal is looked for by its id.
  limits: `{ ${EACH_RECORDED} }`,
  routes: '[routes/*.yaml]',
}

const EXPIRY = Math.floor(Date.now() / 1000) + 3600

/** Lays out a gateway with three ways to sign in, and routes that read everything that a mapping can read. */
export const buildCity = async (options: CityOptions): Promise<City> => {
  const [staffKey, browserKey, strangerKey] = await Promise.all([
    makeKey('staff-1'),
    makeKey('browser-1'),
    makeKey('staff-1'),
  ])
  const claims = (sub: string) => ({
    iss: 'https://idp.test',
    aud: 'city',
    sub,
    exp: EXPIRY,
    iat: EXPIRY - 7200,
  })
  const tokens = new Map<string, string>()
  for (const name of ['alice', 'bob', 'carol']) tokens.set(name, await staffKey.sign(claims(name)))
  const credentials = {
    tokens,
    session: await browserKey.sign({ ...claims('visitor'), iss: 'https://login.test' }),
    apiKey: 'partner-key-Qm8vT1x9ZrK4nW7bL2cD5fG6hJ3sP0aE',
    forged: await strangerKey.sign(claims('alice')),
    adminToken: 'admin-token-yU7iO8pL5kJ4hG3fD2sA1qW9eR6tZ0xC',
  }
  const hash = `sha256:${createHash('sha256').update(credentials.apiKey).digest('hex')}`
  const gateway = { ...GATEWAY, upstreams: `{ core: { url: "${options.upstream}" } }`, ...options.settings }
  const world = {
    'config/sallyport.yaml': Object.entries(gateway)
      .map(([key, value]) => `${key}: ${value}\n`)
      .join(''),
    'config/routes/city.yaml': ROUTES,
    'config/staff.json': JSON.stringify(jwksOf(staffKey)),
    'config/browser.json': JSON.stringify(jwksOf(browserKey)),
    'config/keys.yaml': JSON.stringify({
      keys: [{ id: 'k1', hash, subject: { type: 'Partner', id: 'acme' } }],
    }),
    'policies/city.cedar': POLICIES,
  }
  return { world, env: { ADMIN_TOKEN: credentials.adminToken }, credentials, staffKey }
}

/** A token of `Authorization: Bearer`; fails for a name that the city does not know. */
export const tokenOf = ({ credentials }: City, name: string): string => {
  const token = credentials.tokens.get(name)
  if (token === undefined) throw new Error(`${name} has no token`)
  return token
}
