import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { stopProcess } from './stopped-process.ts'

/** False, or why tests that need one are skipped. */
export const withoutRedis: string | false =
  spawnSync('redis-server', ['--version']).status === 0 ? false : 'redis-server is not installed'

/** False, or why tests that need TLS are skipped: some distributions build it without. */
export const withoutRedisTls = (): string | false => {
  if (withoutRedis !== false) return withoutRedis
  const { stdout } = spawnSync('redis-server', ['--port', '0', '--tls-port', '1'], { timeout: 5_000 })
  return stdout.includes('Failed to configure TLS') ? false : 'redis-server is built without TLS'
}

export interface RedisServer {
  readonly port: number
  readonly url: string
  /** It answers nobody until `thaw`, and its connections stay open. */
  readonly freeze: () => void
  readonly thaw: () => void
  /** Ends it at once. */
  readonly kill: () => Promise<void>
  /** Starts it anew on the same port, with nothing in it unless it was told to keep it. */
  readonly restart: () => Promise<void>
  /** For looking and for damage. */
  readonly admin: Redis
  readonly close: () => Promise<void>
}

export const freePort = async (): Promise<number> => {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** Starts the distribution's redis-server on a free port of 127.0.0.1. */
export const startRedis = async (
  args: readonly string[] = [],
  { sentinel }: { readonly sentinel?: string } = {},
): Promise<RedisServer> => {
  const port = await freePort()
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-redis-'))
  const file = join(directory, 'sentinel.conf')
  // A Sentinel writes into its configuration what it learns.
  if (sentinel !== undefined) writeFileSync(file, `port ${port}\nbind 127.0.0.1\n${sentinel}\n`)
  const launch = async (): Promise<ChildProcess> => {
    const plain = ['--port', String(port), '--bind', '127.0.0.1', '--dir', directory, '--save', '']
    const all = sentinel === undefined ? [...plain, ...args] : [file, '--sentinel']
    const started = spawn('redis-server', all, { stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    await new Promise<void>((resolve, reject) => {
      started.once('exit', (code) => reject(new Error(`redis-server ended with ${code}:\n${output}`)))
      started.stdout.on('data', (chunk: Buffer) => {
        output += chunk.toString()
        if (/ready to accept connections|sentinel id is/i.test(output)) resolve()
      })
    })
    return started
  }
  let child = await launch()
  const admin = new Redis({ port, host: '127.0.0.1', protocol: 2, retryStrategy: () => 50 })
  admin.on('error', () => undefined)
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }
  return {
    port,
    url: `redis://127.0.0.1:${port}/0`,
    freeze: () => stopProcess(child),
    thaw: () => child.kill('SIGCONT'),
    kill,
    restart: async () => {
      await kill()
      child = await launch()
    },
    admin,
    close: async () => {
      admin.disconnect()
      await kill()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
