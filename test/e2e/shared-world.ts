import { generateKeyPairSync } from 'node:crypto'
import type { TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { ADMIN_ENV, ADMIN_YAML, askPort } from '../admin/admin-world.ts'
import { startRawBackend } from '../support/backend.ts'
import { layOut, startInDirectory, type TestGateway } from '../support/gateway.ts'
import { rawRequest } from '../support/raw-http.ts'
import { type RedisServer, startRedis } from '../support/redis-server.ts'
import { buildCity, type City, HOST } from './city.ts'

/** One gateway of several. */
export interface Replica {
  readonly gateway: TestGateway
  /** The status that alice gets for an account. */
  readonly visit: (path?: string) => Promise<number>
  /** Answers a request with these header lines. */
  readonly request: (path: string, headers: readonly string[]) => Promise<number>
  readonly sources: () => readonly string[]
  readonly ask: (path: string, ask?: Parameters<typeof askPort>[2]) => ReturnType<typeof askPort>
}

export interface World {
  readonly redis: RedisServer
  readonly city: City
  readonly replicas: readonly Replica[]
}

const signingKey = (): string =>
  JSON.stringify(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }))

export interface SharedOptions {
  /** Arguments of redis-server. */
  readonly args?: readonly string[]
  /** Where the gateway of this number reaches the Redis; default at its URL. */
  readonly store?: (redis: RedisServer, index: number) => string | Promise<string>
  /** `grants.redis`; by default a deadline that a busy machine keeps. */
  readonly redis?: string
  /** Lines of the gateway file that are added, or replace what is there. */
  readonly settings?: Readonly<Record<string, string>>
  /** Files that are added, or replace what is there. */
  readonly files?: Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string>>
}

/** A city whose gateways share what they keep. */
export const layOutFor = async (
  redis: RedisServer,
  upstream: string,
  options: SharedOptions = {},
): Promise<City> => {
  const { settings, files, redis: access = '{ commandTimeout: 2s }' } = options
  const city = await buildCity({
    upstream,
    settings: {
      admin: ADMIN_YAML,
      grants: `{ store: "${redis.url}", ttl: 60s, redis: ${access} }`,
      revocation: '{ maxStale: 3s }',
      assertion: '{ keyFile: assertion.jwk }',
      ...settings,
    },
  })
  const more = { 'config/assertion.jwk': signingKey(), ...files }
  return { ...city, env: { ...city.env, ...ADMIN_ENV, ...options.env }, world: { ...city.world, ...more } }
}

/** Starts an empty Redis and so many gateways on it; all ends with the test. */
export const startWorld = async (
  t: TestContext,
  count: number,
  options: SharedOptions = {},
): Promise<World> => {
  const redis = await startRedis(options.args)
  t.after(redis.close)
  const backend = await startRawBackend()
  t.after(backend.close)
  const city = await layOutFor(redis, backend.url, options)
  const layOutAt = async (index: number): Promise<string> => {
    const file = 'config/sallyport.yaml'
    const store = (await options.store?.(redis, index)) ?? redis.url
    return layOut({ ...city.world, [file]: String(city.world[file]).replace(redis.url, () => store) })
  }
  const replicas: Replica[] = []
  for (let index = 0; index < count; index += 1) {
    const gateway = await startInDirectory(await layOutAt(index), { env: city.env, watch: null })
    t.after(gateway.close)
    const token = city.credentials.tokens.get('alice') ?? ''
    const request: Replica['request'] = async (path, headers) => {
      const lines = [`GET ${path} HTTP/1.1`, `Host: ${HOST}`, ...headers, 'Connection: close']
      return (await rawRequest(gateway.port, `${lines.join('\r\n')}\r\n\r\n`)).status
    }
    replicas.push({
      gateway,
      visit: (path = '/accounts/1') => request(path, [`Authorization: Bearer ${token}`]),
      request,
      sources: () => gateway.records().map(({ source }) => source),
      ask: (path, ask) => askPort(gateway.admin ?? '', path, ask),
    })
  }
  // On an empty Redis that takes one maxStale.
  for (const { ask } of replicas)
    await until(async () => (await ask('/readyz', { token: null })).status === 200)
  return { redis, city, replicas }
}

/** Waits until it is so; the deadline is that of the test. */
export const until = async (isSo: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await isSo())) await wait(10)
}
