import { type IncomingHttpHeaders, request } from 'node:http'
import type { TestContext } from 'node:test'
import { buildCity, type City, type CityOptions, HOST } from '../e2e/city.ts'
import { startRawBackend } from '../support/backend.ts'
import { layOut, startInDirectory, type TestGateway } from '../support/gateway.ts'

/** Tokens of the admin port, by what each may. */
export const TOKENS = {
  all: 'all-token-4kD8sW1xQ7vB',
  read: 'read-token-9sK2mX5cV8bN',
  explain: 'explain-token-3fG6hJ9kL',
  replay: 'replay-token-7pO4iU1yT6r',
  revoke: 'revoke-token-2wE5rT8yU1i',
} as const

export type TokenName = keyof typeof TOKENS

export const ADMIN_YAML = `
  bind: 127.0.0.1:0
  hosts: [gateway.internal]
  tokens:
    - { name: everything, token: { env: ADMIN_ALL }, may: [read, explain, replay, revoke] }
    - { name: reader, token: { env: ADMIN_READ }, may: [read] }
    - { name: explainer, token: { env: ADMIN_EXPLAIN }, may: [explain] }
    - { name: replayer, token: { env: ADMIN_REPLAY }, may: [replay] }
    - { name: revoker, token: { env: ADMIN_REVOKE }, may: [revoke] }`

export const ADMIN_ENV = Object.fromEntries(
  Object.entries(TOKENS).map(([name, token]) => [`ADMIN_${name.toUpperCase()}`, token]),
)

export interface AdminAsk {
  readonly method?: string
  /** Null: none. Default `all`. */
  readonly token?: TokenName | null
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  /** Sent as JSON. */
  readonly body?: unknown
}

export interface AdminReply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  /** The body when it is JSON; else null. */
  readonly json: Readonly<Record<string, unknown>> | null
}

export interface AdminWorld {
  readonly gateway: TestGateway
  readonly city: City
  readonly logLines: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly ask: (path: string, ask?: AdminAsk) => Promise<AdminReply>
  /** Sends a request through the gateway, as alice unless another subject is named; null: without a credential. */
  readonly visit: (path: string, subject?: string | null, method?: string) => Promise<AdminReply>
}

const exchange = (
  port: number,
  path: string,
  options: {
    readonly method: string
    readonly headers: Readonly<Record<string, string | readonly string[]>>
  },
  body?: string,
): Promise<AdminReply> =>
  new Promise((resolve, reject) => {
    const headers = Object.fromEntries(
      Object.entries(options.headers).map(([name, value]) => [
        name,
        typeof value === 'string' ? value : [...value],
      ]),
    )
    const sent = request({ port, path, method: options.method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        const isJson = /json/.test(response.headers['content-type'] ?? '') && text !== ''
        const json = isJson ? JSON.parse(text) : null
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json })
      })
    })
    sent.on('error', reject)
    sent.end(body)
  })

export const askPort = (
  address: string,
  path: string,
  { method = 'GET', token = 'all', headers = {}, body }: AdminAsk = {},
): Promise<AdminReply> =>
  exchange(
    Number(address.slice(address.lastIndexOf(':') + 1)),
    path,
    {
      method,
      headers: {
        ...(token === null ? {} : { authorization: `Bearer ${TOKENS[token]}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
    },
    body === undefined ? undefined : JSON.stringify(body),
  )

/** A gateway with an admin port that knows every kind of token, in front of an application that always answers. */
export const startAdminWorld = async (
  t: TestContext,
  options: { readonly settings?: CityOptions['settings']; readonly directory?: string } = {},
): Promise<AdminWorld> => {
  const backend = await startRawBackend()
  t.after(backend.close)
  const city = await buildCity({
    upstream: backend.url,
    settings: { admin: ADMIN_YAML, ...options.settings },
  })
  const logLines: string[] = []
  const env = { ...city.env, ...ADMIN_ENV }
  const gateway = await startInDirectory(options.directory ?? layOut(city.world), {
    env,
    logLines,
    watch: null,
  })
  t.after(gateway.close)
  return {
    gateway,
    city,
    logLines,
    env,
    ask: (path, ask) => askPort(gateway.admin ?? '', path, ask),
    visit: (path, subject = 'alice', method = 'GET') => {
      const token = subject === null ? undefined : city.credentials.tokens.get(subject)
      const headers = { host: HOST, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) }
      return exchange(gateway.port, path, { method, headers })
    },
  }
}
