import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { caddyCommand, nginxCommand } from './peers.ts'
import { findCommand, freePort, nodeServer, type Running, startProcess } from './processes.ts'
import { copyWorld, layOutWorld, type World, type WorldOptions } from './world.ts'

/** What is measured: something that listens in front of the application, or the application itself. */
export interface Subject {
  readonly name: string
  readonly port: number
  readonly path: string
  /** Whose CPU time counts as the subject's. */
  readonly pids: readonly number[]
  /** So many tokens; one when `freshTokens` is false. */
  readonly tokens: (count: number) => readonly string[]
  /** A token that was never seen with every request. */
  readonly freshTokens: boolean
  /** Where its configuration and its decision log are; only of a gateway. */
  readonly world?: Pick<World, 'configurationFile' | 'log'>
  readonly stop: () => Promise<void>
}

/** Names that ratios refer to. */
export const HTTP_PROXY = 'http-proxy, bare'
export const ENFORCED = 'Sallyport, enforced, live grant'
export const PUBLIC = 'Sallyport, public route'

const BIN = fileURLToPath(new URL('../../bin/sallyport', import.meta.url))

/** A gateway process on a world of its own. */
export interface SallyportProcess extends Running {
  readonly world: World
  readonly port: number
  readonly adminPort: number
}

/** What the admin ports of the bench want. */
export const ADMIN_TOKEN = 'a-token-of-the-bench-that-nobody-uses'

type NewWorld = Omit<WorldOptions, 'port' | 'adminPort'>

/** Starts the command as a user would, on one core; on a world of its own, or on a copy of another's on other ports. */
export const startSallyport = async (
  options: NewWorld | { readonly sameAs: World },
): Promise<SallyportProcess> => {
  const port = await freePort()
  const adminPort = await freePort()
  const world =
    'sameAs' in options
      ? copyWorld(options.sameAs, { port, adminPort })
      : layOutWorld({ ...options, port, adminPort })
  const running = await startProcess(
    'subject',
    [process.execPath, BIN, 'serve', '--config', world.configurationFile],
    port,
    { NODE_ENV: 'production', BENCH_ADMIN_TOKEN: ADMIN_TOKEN, BENCH_GRANTS_SECRET: 's'.repeat(48) },
  )
  return { ...running, world, port, adminPort }
}

interface Way extends Pick<WorldOptions, 'grants' | 'morePolicies' | 'engine'> {
  readonly name: string
  readonly path: string
  readonly freshTokens: boolean
}

const WAYS: readonly Way[] = [
  { name: PUBLIC, path: '/public/42', grants: 'ttl: 5m', freshTokens: false },
  { name: ENFORCED, path: '/accounts/42', grants: 'ttl: 5m', freshTokens: false },
  { name: 'Sallyport, enforced, Cedar every time', path: '/accounts/42', grants: 'none', freshTokens: false },
  {
    name: 'Sallyport, enforced, new token every time',
    path: '/accounts/42',
    grants: 'ttl: 5m',
    freshTokens: true,
  },
]

/** One decision after the other, by so many policies. */
export const CEDAR_WAYS: readonly Way[] = [10, 1_000, 10_000].map((policies) => ({
  name: `Sallyport, Cedar every time, ${policies.toLocaleString('en')} policies`,
  path: '/accounts/42',
  grants: 'none',
  freshTokens: false,
  morePolicies: policies - 3,
}))

const sallyport =
  (way: Way) =>
  async (backendPort: number): Promise<Subject> => {
    const { grants, morePolicies = 0, engine } = way
    const options = { backendPort, routes: 200, grants, morePolicies, ...(engine && { engine }) }
    const { world, pid, port, stop } = await startSallyport(options)
    const one = [world.token('alice')]
    return {
      ...way,
      world,
      port,
      pids: [pid],
      tokens: (count) =>
        way.freshTokens ? Array.from({ length: count }, (_, at) => world.token(`user-${at}`)) : one,
      stop,
    }
  }

// The peers check nothing, so any text is a credential to them; this one is as long as a real one.
const CREDENTIAL = ['x'.repeat(320)]

const plain = (name: string, port: number, ...parts: readonly Running[]): Subject => ({
  name,
  port,
  path: '/accounts/42',
  pids: parts.map(({ pid }) => pid),
  tokens: () => CREDENTIAL,
  freshTokens: false,
  stop: async () => {
    await Promise.all(parts.map((part) => part.stop()))
  },
})

const node =
  (name: string, file: string, ...args: readonly string[]) =>
  async (backendPort: number): Promise<Subject> => {
    const port = await freePort()
    return plain(
      name,
      port,
      await startProcess('subject', nodeServer(file, port, backendPort, ...args), port),
    )
  }

const startDecisionService = async (): Promise<readonly [number, Running]> => {
  const port = await freePort()
  return [port, await startProcess('subject', nodeServer('decision-service', port), port)]
}

type Start = (backendPort: number, scratch: string) => Promise<Subject>

const nginx =
  (file: string, name: string, asksFirst: boolean): Start =>
  async (backendPort, scratch) => {
    const port = await freePort()
    const [decisionPort, decisions] = await startDecisionService()
    const ports = { port, backendPort, decisionPort }
    const folder = join(scratch, asksFirst ? 'nginx-auth' : 'nginx')
    const proxy = await startProcess('subject', nginxCommand(file, folder, ports, asksFirst), port)
    if (asksFirst) return plain(name, port, proxy, decisions)
    await decisions.stop()
    return plain(name, port, proxy)
  }

const caddy =
  (file: string, name: string): Start =>
  async (backendPort, scratch) => {
    const port = await freePort()
    const [decisionPort, decisions] = await startDecisionService()
    const command = caddyCommand(file, join(scratch, 'caddy'), { port, backendPort, decisionPort })
    const home = join(scratch, 'caddy')
    const proxy = await startProcess('subject', command, port, {
      GOMAXPROCS: '1',
      XDG_DATA_HOME: home,
      XDG_CONFIG_HOME: home,
    })
    return plain(name, port, proxy, decisions)
  }

export interface Candidate {
  readonly name: string
  readonly start: Start
  /** The command that it needs and that is not there, or null. */
  readonly missing: string | null
}

const peer = (command: string, name: string, make: (file: string) => Start): Candidate => {
  const file = findCommand(command)
  return { name, missing: file === null ? command : null, start: make(file ?? command) }
}

/** All that is measured, in the order of the table. */
export const candidates = (): readonly Candidate[] => [
  {
    name: 'the application alone',
    missing: null,
    start: async (backendPort) => plain('the application alone', backendPort),
  },
  { name: HTTP_PROXY, missing: null, start: node(HTTP_PROXY, 'http-proxy') },
  {
    name: 'http-proxy, kept connections',
    missing: null,
    start: node('http-proxy, kept connections', 'http-proxy', 'kept'),
  },
  { name: 'undici, bare', missing: null, start: node('undici, bare', 'undici-proxy') },
  ...[...WAYS, ...CEDAR_WAYS].map((way) => ({ name: way.name, missing: null, start: sallyport(way) })),
  peer('nginx', 'nginx, bare', (file) => nginx(file, 'nginx, bare', false)),
  peer('nginx', 'nginx, auth_request', (file) => nginx(file, 'nginx, auth_request', true)),
  peer('caddy', 'Caddy, forward_auth', (file) => caddy(file, 'Caddy, forward_auth')),
]
