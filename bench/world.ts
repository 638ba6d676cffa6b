import { cpSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createIssuer, ISSUER, SUBJECT } from './issuer.ts'

/** What every request of the bench asks for, so that each subject parses, and the application sees, the same. */
export const HOST = 'bank.bench.example'

/** A directory with a configuration to serve, and tokens that it accepts. */
export interface World {
  readonly directory: string
  readonly configurationFile: string
  /** The decision log. */
  readonly log: string
  readonly ports: { readonly port: number; readonly adminPort: number }
  /** A valid ES256 token; each has its own `jti`, so that no two are one credential. */
  readonly token: (subject: string) => string
}

export interface WorldOptions {
  readonly port: number
  readonly adminPort: number
  readonly backendPort: number
  /** Each route is `GET /s<n>/accounts/{accountId}`; the first is also `GET /accounts/{accountId}`. */
  readonly routes: number
  readonly grants: 'ttl: 5m' | 'none'
  /** How many policies there are besides the three that concern the bench; default none. */
  readonly morePolicies?: number
  /** The engine as the gateway file has it; default Cedar. */
  readonly engine?: string
  /** The authenticator `staff` as the gateway file has it; default `jwt`, by which `World.token` is taken. */
  readonly authenticator?: string
  /** What the listener speaks, to proxies of this machine; default `proxy`. */
  readonly speaks?: 'forward-auth'
  /** Further files, by their path. */
  readonly files?: Readonly<Record<string, string | Buffer>>
  /** Lines for `grants`; default in memory. */
  readonly store?: string
}

const CEDAR = '{ type: cedar, policies: [../policies/*.cedar], schema: ../policies/bank.cedarschema }'
const JWT = `{ type: jwt, issuer: ${ISSUER}, audience: bank, jwksFile: jwks.json, algorithms: [ES256], ${SUBJECT} }`
const IN_MEMORY = 'store: memory, ttl: 5m, maxEntries: 200000, maxBytes: 268435456'

const gatewayFile = ({
  port,
  adminPort,
  backendPort,
  engine = CEDAR,
  store = IN_MEMORY,
  authenticator = JWT,
  speaks,
}: WorldOptions): string => `version: 1
listeners: [{ bind: 127.0.0.1:${port} ${speaks === undefined ? '' : `, speaks: ${speaks}, trustedProxies: [{ cidrs: [127.0.0.1/32] }]`} }]
admin: { bind: 127.0.0.1:${adminPort}, token: { env: BENCH_ADMIN_TOKEN } }
authenticators:
  staff: ${authenticator}
engines:
  bank: ${engine}
grants: { ${store} }
audit: [{ type: file, path: ../log/decisions.ndjson, chain: true }]
upstreams:
  core: { url: "http://127.0.0.1:${backendPort}" }
routes: [routes/*.yaml]
`

const enforcedRoute = (name: string, path: string, grants: WorldOptions['grants']): string => `
  - name: ${name}
    match: GET ${path}
    evaluation:
      action: read
      resource: { type: Account, id: $path.accountId }
      context: { sensitivity: high }
    headers: { X-Remote-User: $subject.id }
    grant: ${grants === 'none' ? 'none' : `{ ${grants} }`}`

const routeMap = ({ routes, grants }: WorldOptions): string => {
  const numbered = Array.from({ length: routes - 1 }, (_, at) =>
    enforcedRoute(`read-${at + 1}`, `/s${at + 1}/accounts/{accountId}`, grants),
  )
  return `defaults: { host: ${HOST}, upstream: core, engine: bank, authenticate: [staff] }
routes:${enforcedRoute('read', '/accounts/{accountId}', grants)}${numbered.join('')}
  - { name: public, match: "GET /public/{accountId}", access: public }
  - { name: large, match: GET /large, access: public }
  - { name: upload, match: POST /upload, access: public }
`
}

const SCHEMA = `entity User { groups: Set<String> };
entity Account;
action read appliesTo { principal: User, resource: Account, context: { sensitivity: String } };
`

const POLICIES = `@id("clerks-read")
permit (principal is User, action == Action::"read", resource is Account)
when { principal.groups.contains("clerks") };

@id("auditors-read")
permit (principal is User, action == Action::"read", resource is Account)
when { principal.groups.contains("auditors") && context.sensitivity != "secret" };

@id("closed-accounts")
forbid (principal, action == Action::"read", resource == Account::"closed");
`

/** Of an estate: half for other things that are done, half for other things that it is done to. */
const morePolicies = (count: number): string =>
  Array.from({ length: count }, (_, at) => {
    const head =
      at % 2 === 0
        ? `action == Action::"act${at % 200}", resource is Account`
        : `action == Action::"read", resource == Account::"special-${at}"`
    return `@id("more-${at}")\npermit (principal is User, ${head})\nwhen { principal.groups.contains("group-${at}") };\n`
  }).join('\n')

const moreActions = (count: number): string =>
  count === 0
    ? ''
    : `action ${Array.from({ length: 100 }, (_, at) => `act${2 * at}`).join(', ')} appliesTo { principal: User, resource: Account };\n`

/** Lays out a bank of so many routes below a new temporary directory. */
export const layOutWorld = (options: WorldOptions): World => {
  const { jwks, token } = createIssuer()
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-bench-'))
  const files = {
    'config/sallyport.yaml': gatewayFile(options),
    'config/routes/bank.yaml': routeMap(options),
    'config/jwks.json': jwks,
    'policies/bank.cedar': POLICIES,
    'policies/more.cedar': morePolicies(options.morePolicies ?? 0) || '// none\n',
    'policies/bank.cedarschema': SCHEMA + moreActions(options.morePolicies ?? 0),
    ...options.files,
  }
  for (const [path, content] of Object.entries(files)) {
    const file = join(directory, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, content)
  }
  mkdirSync(join(directory, 'log'))
  const { port, adminPort } = options
  return {
    directory,
    ports: { port, adminPort },
    configurationFile: join(directory, 'config/sallyport.yaml'),
    log: join(directory, 'log/decisions.ndjson'),
    token,
  }
}

/** The same configuration on other ports, which takes the same tokens. */
export const copyWorld = (world: World, ports: World['ports']): World => {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-bench-'))
  for (const folder of ['config', 'policies'])
    cpSync(join(world.directory, folder), join(directory, folder), { recursive: true })
  mkdirSync(join(directory, 'log'))
  const configurationFile = join(directory, 'config/sallyport.yaml')
  const text = readFileSync(configurationFile, 'utf8')
    .replace(`127.0.0.1:${world.ports.port} `, `127.0.0.1:${ports.port} `)
    .replace(`127.0.0.1:${world.ports.adminPort},`, `127.0.0.1:${ports.adminPort},`)
  writeFileSync(configurationFile, text)
  const log = join(directory, 'log/decisions.ndjson')
  return { ...world, directory, configurationFile, log, ports }
}
