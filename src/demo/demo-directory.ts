import { randomBytes } from 'node:crypto'
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { JSONWebKeySet } from 'jose'
import { addPages, withBrowsers } from './browser-configuration.ts'
import { closeServer, listenLocally } from './local-server.ts'

export interface DemoDirectoryOptions {
  /** The folder that holds `config/` and `policies/`. */
  readonly source: string
  /** Of the bank, such as `http://127.0.0.1:9000`. */
  readonly bankUrl: string
  /** Of the tokens, and where people sign in by their browser. */
  readonly issuer: string
  readonly jwks: JSONWebKeySet
  /** Of the partner's API key: what `sallyport keys new` prints, without the key. */
  readonly partnerKey: { readonly id: string; readonly hash: string }
  /** Keeps the ports of the configuration where they are free; otherwise any free ones are taken. */
  readonly keepPorts: boolean
}

export interface DemoDirectory {
  readonly path: string
  readonly configFile: string
  readonly decisionsFile: string
  /** With the host name that the route map asks for. */
  readonly gatewayUrl: string
  readonly adminUrl: string
  readonly adminTokenFile: string
  /** Deletes the directory. */
  readonly remove: () => Promise<void>
}

/** `bind` of the listener, then of the admin port. */
const BIND = /\bbind: (127\.0\.0\.1:\d+)/g
const UPSTREAM = /\burl: http:\/\/127\.0\.0\.1:\d+/

/**
 * Lays out a configuration of its own for one run of the demo, in a temporary directory.
 *
 * It is the repository's, with ports that are free, with the keys of this run, and with sign-in by browser.
 * Does not hold the ports: somebody else may take one before the gateway does.
 */
export const prepareDemoDirectory = async (options: DemoDirectoryOptions): Promise<DemoDirectory> => {
  const path = await mkdtemp(join(tmpdir(), 'sallyport-demo-'))
  const remove = (): Promise<void> => rm(path, { recursive: true, force: true })
  try {
    await copyConfiguration(options.source, path)
    const configFile = join(path, 'config', 'sallyport.yaml')
    const original = await readFile(configFile, 'utf8')
    const [gateway, admin] = await findFreeAddresses(original, options.keepPorts)
    const addresses = [gateway, admin]
    const edited = original
      .replace(BIND, () => `bind: ${addresses.shift()}`)
      .replace(UPSTREAM, `url: ${options.bankUrl}`)
    await writeFile(configFile, withBrowsers(edited, options.issuer))
    await addPages(join(path, 'config', 'routes', 'bank.yaml'))
    await writeKeys(join(path, 'config'), options)
    return {
      path,
      configFile,
      decisionsFile: join(path, 'log', 'decisions.ndjson'),
      gatewayUrl: `http://${gateway.replace('127.0.0.1', 'localhost')}`,
      adminUrl: `http://${admin}`,
      adminTokenFile: join(path, 'config', 'secrets', 'admin-token'),
      remove,
    }
  } catch (error) {
    await remove()
    throw error
  }
}

/** Leaves out secrets: those of this run are made for it. */
const copyConfiguration = async (source: string, path: string): Promise<void> => {
  const secrets = join(source, 'config', 'secrets')
  const filter = (file: string): boolean => file !== secrets
  await cp(join(source, 'config'), join(path, 'config'), { recursive: true, filter })
  await cp(join(source, 'policies'), join(path, 'policies'), { recursive: true })
  await mkdir(join(path, 'log'))
  await mkdir(join(path, 'config', 'secrets'))
}

const writeKeys = async (folder: string, { jwks, partnerKey }: DemoDirectoryOptions): Promise<void> => {
  const { id, hash } = partnerKey
  const keys = { keys: [{ id, hash, subject: { type: 'Partner', id: 'acme' } }] }
  await writeFile(join(folder, 'jwks.json'), JSON.stringify(jwks))
  // JSON is YAML, and needs no thought about what a hash may hold.
  await writeFile(join(folder, 'keys.yaml'), `${JSON.stringify(keys)}\n`)
  for (const secret of ['admin-token', 'sessions'])
    await writeFile(join(folder, 'secrets', secret), `${randomBytes(32).toString('base64url')}\n`)
}

const findFreeAddresses = async (config: string, keepPorts: boolean): Promise<readonly [string, string]> => {
  const [listener, admin, ...more] = [...config.matchAll(BIND)].map(([, address = '']) => address)
  if (listener === undefined || admin === undefined || more.length > 0 || !UPSTREAM.test(config)) {
    throw new Error(
      'config/sallyport.yaml: expected one listener, an admin port and an upstream on 127.0.0.1',
    )
  }
  return [await findFreeAddress(listener, keepPorts), await findFreeAddress(admin, keepPorts)]
}

const findFreeAddress = async (configured: string, keepPort: boolean): Promise<string> => {
  const [, port] = configured.split(':')
  for (const candidate of keepPort ? [Number(port), 0] : [0]) {
    const server = createServer()
    const url = await listenLocally(server, candidate).catch(() => null)
    await closeServer(server)
    if (url !== null) return url.replace('http://', '')
  }
  throw new Error('no port is free')
}
