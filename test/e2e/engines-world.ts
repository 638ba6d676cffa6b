import { createApiKey } from '../../src/cli/keys-new.ts'
import { type HttpBackend, startHttpBackend } from '../support/backend.ts'
import { startTestGateway, type TestGateway, type World } from '../support/gateway.ts'

const KEYS = new Map(['alice', 'bob', 'carol'].map((name) => [name, createApiKey(0)]))

export interface EnginesWorldOptions {
  /** Flow-style YAML. */
  readonly engines: string
  /** Of the route map; default `engine: main`. */
  readonly ask?: string
  readonly routes?: string
  /** Further keys of the gateway's file, one a line. */
  readonly more?: string
  readonly files?: World
}

const ROUTES = `  - name: read-account
    match: GET /accounts/{id}
    evaluation: { action: read, resource: { type: Account, id: $path.id } }
`

/** A gateway that knows alice, bob and carol, and asks some engines whether they may read accounts. */
export const enginesWorld = (
  upstream: string,
  { engines, ask = 'engine: main', routes = ROUTES, more = '', files = {} }: EnginesWorldOptions,
): World => ({
  'config/sallyport.yaml': `version: 1
listeners: [{ bind: "127.0.0.1:0" }]
admin: { bind: "127.0.0.1:0", token: { env: ADMIN_TOKEN } }
authenticators: { keys: { type: api-key, keysFile: keys.yaml } }
engines: ${engines}
audit: [{ type: file, path: ../log/decisions.ndjson }]
upstreams: { app: { url: "${upstream}" } }
routes: [routes/*.yaml]
${more}
`,
  'config/routes/app.yaml': `defaults: { upstream: app, ${ask}, authenticate: [keys], grant: none }\nroutes:\n${routes}`,
  'config/keys.yaml': JSON.stringify({
    keys: [...KEYS].map(([name, { id, hash }]) => ({ id, hash, subject: { type: 'User', id: name } })),
  }),
  ...files,
})

export interface AskedGateway extends TestGateway {
  /** Requests that reached the application, as `GET /path`. */
  readonly forwarded: readonly string[]
  readonly get: (name: string, path: string, headers?: Readonly<Record<string, string>>) => Promise<Response>
  readonly send: (name: string, path: string, init: RequestInit) => Promise<Response>
  /** What `/readyz` says of an engine. */
  readonly engineState: (name: string) => Promise<Readonly<Record<string, unknown>>>
  readonly metrics: () => Promise<string>
}

export const startAskedGateway = async (options: EnginesWorldOptions): Promise<AskedGateway> => {
  const forwarded: string[] = []
  const backend: HttpBackend = await startHttpBackend((request, response) => {
    forwarded.push(`${request.method} ${request.url}`)
    request.resume().on('end', () => response.end('from the application'))
  })
  const env = { ADMIN_TOKEN: 'admin-token-of-this-test' }
  const gateway = await startTestGateway(enginesWorld(backend.url, options), { env }).catch(
    async (error: unknown) => {
      await backend.close()
      throw error
    },
  )
  const send: AskedGateway['send'] = (name, path, init) =>
    fetch(`http://127.0.0.1:${gateway.port}${path}`, {
      redirect: 'manual',
      ...init,
      headers: { 'x-api-key': KEYS.get(name)?.key ?? '', ...init.headers },
    })
  return {
    ...gateway,
    forwarded,
    send,
    get: (name, path, headers = {}) => send(name, path, { headers }),
    engineState: async (name) => {
      const answer = await fetch(`http://${gateway.admin}/readyz`)
      const { engines } = (await answer.json()) as { readonly engines: Readonly<Record<string, never>> }
      return engines[name] ?? {}
    },
    metrics: async () => (await fetch(`http://${gateway.admin}/metrics`)).text(),
    close: async () => {
      await gateway.close()
      await backend.close()
    },
  }
}

/** The last record that a gateway wrote. */
export const lastRecord = ({ records }: TestGateway): Readonly<Record<string, unknown>> => {
  const last = records().at(-1)
  if (last === undefined) throw new Error('nothing was recorded')
  return last
}
