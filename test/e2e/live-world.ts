import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createApiKey } from '../../src/cli/keys-new.ts'
import type { ReloadOutcome } from '../../src/start/reloader.ts'
import type { TestGateway, World } from '../support/gateway.ts'

export const KEY = createApiKey(0)

export const keysFile = (...keys: readonly { readonly id: string; readonly hash: string }[]): string =>
  JSON.stringify({ keys: keys.map(({ id, hash }) => ({ id, hash, subject: { type: 'Program', id } })) })

/** Everybody may read the things that are named. */
export const policy = (...things: readonly string[]): string =>
  things
    .map((id) => `@id("${id}") permit (principal, action == Action::"read", resource == Thing::"${id}");`)
    .join('\n')

export interface WorldChanges {
  readonly listeners?: string
  readonly authenticators?: string
  readonly audit?: string
  readonly engines?: string
  readonly grants?: string
  readonly limits?: string
  /** Further keys of the gateway's file, one a line. */
  readonly more?: string
  readonly upstreams?: string
}

/** The gateway's file; every part is flow-style YAML. */
export const gatewayFile = (backendUrl: string, changes: WorldChanges = {}): string => `version: 1
listeners: ${changes.listeners ?? '[{ bind: "127.0.0.1:0" }]'}
authenticators: ${changes.authenticators ?? '{ keys: { type: api-key, keysFile: keys.yaml } }'}
engines: ${changes.engines ?? '{ main: { type: cedar, policies: [../policies/*.cedar] } }'}
grants: ${changes.grants ?? '{ ttl: 30s }'}
limits: ${changes.limits ?? '{ requestTimeout: 20s }'}
audit: ${changes.audit ?? '[{ type: file, path: ../log/decisions.ndjson }]'}
upstreams: ${changes.upstreams ?? `{ app: { url: "${backendUrl}" } }`}
routes: [routes/*.yaml]
${changes.more ?? ''}
`

export const routeMap = (routes: string, authenticate = '[keys]'): string => `owner: team
defaults: { upstream: app, engine: main, authenticate: ${authenticate} }
routes:
${routes}
`

export const READ = `  - name: read
    match: GET /things/{id}
    evaluation: { action: read, resource: { type: Thing, id: $path.id } }
`

/** A mapping that reads the body. */
export const WRITE = `  - name: write
    match: POST /things
    evaluation: { action: read, resource: { type: Thing, id: $body.id } }
    grant: none
`

export const world = (backendUrl: string, changes: WorldChanges = {}): World => ({
  'config/sallyport.yaml': gatewayFile(backendUrl, changes),
  'config/routes/app.yaml': routeMap(READ + WRITE),
  'config/keys.yaml': keysFile(KEY),
  'policies/main.cedar': policy('one'),
})

/** Writes a file of a running gateway in place. */
export const write = ({ directory }: Pick<TestGateway, 'directory'>, path: string, content: string): void => {
  const file = join(directory, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, content)
}

/** Replaces a file by another, as an editor or a deployment does. */
export const replace = (gateway: Pick<TestGateway, 'directory'>, path: string, content: string): void => {
  write(gateway, `${path}.new~`, content)
  renameSync(join(gateway.directory, `${path}.new~`), join(gateway.directory, path))
}

export const read = ({ directory }: Pick<TestGateway, 'directory'>, path: string): string =>
  readFileSync(join(directory, path), 'utf8')

/** Makes an edit and waits until it was taken up, or refused, by itself. */
export const edited = async ({ gateway }: TestGateway, edit: () => void): Promise<ReloadOutcome> => {
  const outcome = new Promise<ReloadOutcome>((resolve, reject) => {
    const deadline = setTimeout(() => reject(new Error('the edit was not seen')), 10_000)
    const stop = gateway.onReload((seen) => {
      clearTimeout(deadline)
      stop()
      resolve(seen)
    })
  })
  edit()
  return outcome
}

export const get = (path: string, headers = ''): string =>
  `GET ${path} HTTP/1.1\r\nHost: app\r\nX-Api-Key: ${KEY.key}\r\n${headers}\r\n`
