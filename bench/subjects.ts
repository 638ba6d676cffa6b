import { fileURLToPath } from 'node:url'
import { freePort, type Running, startProcess } from './processes.ts'
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

/** A gateway to measure, and the request by which it is. */
export interface Way
  extends Pick<WorldOptions, 'grants' | 'morePolicies' | 'engine' | 'authenticator' | 'speaks' | 'files'> {
  readonly name: string
  readonly path: string
  readonly freshTokens: boolean
  /** Makes the n-th token, where those of the world are of no use. */
  readonly token?: (number: number) => string
}

/** The same question, with more and more to do for the answer. */
export const WAYS: readonly Way[] = [
  { name: PUBLIC, path: '/public/42', grants: 'ttl: 5m', freshTokens: false },
  { name: ENFORCED, path: '/accounts/42', grants: 'ttl: 5m', freshTokens: false },
  { name: 'Sallyport, enforced, Cedar every time', path: '/accounts/42', grants: 'none', freshTokens: false },
  {
    name: 'Sallyport, new JWT every time',
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

/** Starts that gateway. */
export const sallyport =
  (way: Way) =>
  async (backendPort: number): Promise<Subject> => {
    const { name: _name, path: _path, freshTokens: _fresh, token, ...options } = way
    const { world, pid, port, stop } = await startSallyport({ backendPort, routes: 200, ...options })
    const make = token ?? ((number: number) => world.token(`user-${number}`))
    const one = [make(0)]
    return {
      ...way,
      world,
      port,
      pids: [pid],
      tokens: (count) => (way.freshTokens ? Array.from({ length: count }, (_, at) => make(at)) : one),
      stop,
    }
  }

// The peers check nothing, so any text is a credential to them; this one is as long as a real one.
const CREDENTIAL = ['x'.repeat(320)]

/** Something that looks at no credential, or at one of its own. */
export const plain = (name: string, port: number, ...parts: readonly Running[]): Subject => ({
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

/** Starts what is measured, in front of the application on that port; may write files into the directory. */
export type Start = (backendPort: number, scratch: string) => Promise<Subject>

export interface Candidate {
  readonly name: string
  readonly start: Start
  /** The command that it needs and that is not there, or null. */
  readonly missing: string | null
}

/** A gateway, which needs nothing that may be missing. */
export const candidateOf = (way: Way): Candidate => ({ name: way.name, missing: null, start: sallyport(way) })
