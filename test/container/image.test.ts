import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, type TestContext, test } from 'node:test'
import { createApiKey } from '../../src/cli/keys-new.ts'
import { systemClock } from '../../src/core/clock.ts'
import { type Bank, startBank } from '../../src/demo/bank.ts'
import { type DemoDirectory, prepareDemoDirectory } from '../../src/demo/demo-directory.ts'
import { findEnd, findRecord } from '../../src/demo/find-record.ts'
import { revokeBy } from '../../src/demo/revoke-by.ts'
import { startTokenMint, type TokenMint } from '../../src/demo/token-mint.ts'
import { runWalkthrough } from '../../src/demo/walkthrough.ts'
import { repositoryRoot } from '../house/source-files.ts'
import { type BuiltImage, buildImage, copyContext } from './build-image.ts'
import { execForm, lastStep } from './dockerfile.ts'
import {
  IMAGE_NODE,
  MOUNT_POINTS,
  mapCommand,
  type Running,
  runContained,
  runPlainly,
  type User,
} from './run-image.ts'

const WORKDIR = '/etc/sallyport'
const LOG = `${WORKDIR}/log`
/** Of `drainTimeout`; nothing is in flight, so it takes far less. */
const DRAIN_MS = 10_000

const isRoot = process.getuid?.() === 0
const REGISTRY_OUT_OF_REACH = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|ENOTCACHED/

const filesBelow = (folder: string): readonly string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
    (name) => !lstatSync(join(folder, name)).isDirectory(),
  )

/** Every path with its size and the time of its last change, but for what is in the log. */
const fingerprint = (folder: string): ReadonlyMap<string, string> =>
  new Map(
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => !name.startsWith(LOG.slice(1)) && !name.startsWith('proc/'))
      .map((name) => {
        const { size, mtimeMs, mode } = lstatSync(join(folder, name))
        return [name, `${size} ${mtimeMs} ${mode}`]
      }),
  )

const changeModes = (folder: string, change: (mode: number) => number): void => {
  chmodSync(folder, change(lstatSync(folder).mode))
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    const stat = lstatSync(path)
    if (stat.isDirectory()) changeModes(path, change)
    else if (!stat.isSymbolicLink()) chmodSync(path, change(stat.mode))
  }
}

const canContain = (): boolean =>
  isRoot &&
  spawnSync('unshare', ['--mount', '--pid', '--fork', 'mount', '-t', 'tmpfs', 'tmpfs', '/proc']).status ===
    0 &&
  spawnSync('setpriv', ['--no-new-privs', 'true']).status === 0

/** The demo around an image: its bank, its token mint, and its configuration where the image looks for it. */
interface Surroundings {
  readonly bank: Bank
  readonly mint: TokenMint
  readonly directory: DemoDirectory
  readonly partnerKey: string
}

const surround = async (): Promise<Surroundings> => {
  const bank = await startBank()
  const mint = await startTokenMint(systemClock)
  const { key: partnerKey, hash, id } = createApiKey(systemClock.nowMs())
  const directory = await prepareDemoDirectory({
    source: repositoryRoot,
    bankUrl: bank.url,
    issuer: mint.url,
    jwks: mint.jwks,
    partnerKey: { id, hash },
    keepPorts: false,
  })
  return { bank, mint, directory, partnerKey }
}

const leave = async ({ bank, mint, directory }: Surroundings): Promise<void> => {
  await directory.remove()
  await mint.close()
  await bank.close()
}

describe('the image, built without an engine', () => {
  let folder = ''
  let image: BuiltImage | null = null
  let skipped = ''
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-image-'))
    chmodSync(folder, 0o755)
    try {
      image = buildImage(folder)
    } catch (error) {
      if (!REGISTRY_OUT_OF_REACH.test(String(error))) throw error
      skipped = 'npm ci needs the registry, which is out of reach'
    }
  })
  after(() => rmSync(folder, { recursive: true, force: true }))

  const built = (context: TestContext): BuiltImage | null => {
    if (image === null) context.skip(skipped)
    return image
  }
  const commandOf = ({ stage }: BuiltImage, keyword: string): readonly string[] =>
    execForm(lastStep(stage, keyword)?.args ?? '')
  const userOf = ({ stage }: BuiltImage): User => {
    const [uid, gid] = (lastStep(stage, 'USER')?.args ?? '').split(':').map(Number)
    return { uid: uid ?? 0, gid: gid ?? 0 }
  }

  test('sees no secret, log, test or history of the folder that it is built in', () => {
    const context = join(folder, 'another-context')
    mkdirSync(context)
    copyContext(context)
    assert.deepEqual(readdirSync(context).sort(), [
      'LICENSE',
      'bin',
      'package-lock.json',
      'package.json',
      'src',
      'tsconfig.build.json',
      'tsconfig.json',
    ])
  })

  test('holds the compiled sources, the packages for production, and nothing else', (context) => {
    const { root } = built(context) ?? {}
    if (root === undefined) return
    const { packages } = JSON.parse(readFileSync(join(repositoryRoot, 'package-lock.json'), 'utf8'))
    const installed: Readonly<Record<string, unknown>> = JSON.parse(
      readFileSync(join(root, 'app/node_modules/.package-lock.json'), 'utf8'),
    ).packages
    assert.ok('node_modules/undici' in installed)
    assert.deepEqual(
      Object.keys(installed).filter((path) => packages[path]?.dev === true),
      [],
    )
    assert.equal(existsSync(join(root, 'app/node_modules/typescript')), false)
    assert.deepEqual(readdirSync(root).sort(), ['app', 'etc'])
    assert.deepEqual(readdirSync(join(root, 'app')).sort(), [
      'LICENSE',
      'bin',
      'dist',
      'node_modules',
      'package.json',
    ])
    const sources = filesBelow(join(repositoryRoot, 'src')).map((name) => name.replace(/\.ts$/, '.js'))
    assert.deepEqual(
      [...filesBelow(join(root, 'app/dist'))].sort(),
      sources.map((name) => `src/${name}`).sort(),
    )
  })

  test('holds nothing that the user of the image may write to', (context) => {
    const found = built(context)
    if (found === null) return
    const { uid } = userOf(found)
    const writable = filesBelow(found.root).filter((name) => {
      const stat = lstatSync(join(found.root, name))
      return !stat.isSymbolicLink() && (stat.uid === uid || (stat.mode & 0o002) !== 0)
    })
    assert.deepEqual(writable, [])
  })

  /** Lays the demo into the image's tree, runs the start command, and hands over what runs. */
  const whileServing = async (
    found: BuiltImage,
    start: (words: readonly string[]) => Promise<Running>,
    use: (running: Running, surroundings: Surroundings, decisionsFile: string) => Promise<void>,
  ): Promise<void> => {
    const surroundings = await surround()
    const home = join(found.root, WORKDIR)
    cpSync(surroundings.directory.path, home, { recursive: true })
    const { uid, gid } = userOf(found)
    if (isRoot) chownSync(join(found.root, LOG), uid, gid)
    changeModes(found.root, (mode) => mode & ~0o222)
    chmodSync(join(found.root, LOG), 0o750)
    const before = fingerprint(found.root)
    let running: Running | null = null
    try {
      running = await start([...commandOf(found, 'ENTRYPOINT'), ...commandOf(found, 'CMD')])
      await use(running, surroundings, join(found.root, LOG, 'decisions.ndjson'))
      assert.deepEqual(fingerprint(found.root), before)
    } finally {
      running?.kill()
      await running?.ended
      await leave(surroundings)
      changeModes(found.root, (mode) => mode | 0o200)
      rmSync(home, { recursive: true })
      mkdirSync(home)
    }
  }

  /** The demo's whole walk: every answer, its record and the refusals as they should be. */
  const walk = async (
    { mint, partnerKey, directory }: Surroundings,
    decisionsFile: string,
  ): Promise<void> => {
    let said = ''
    const wentWell = await runWalkthrough({
      gatewayUrl: directory.gatewayUrl,
      mint: mint.mint,
      partnerKey,
      readRecord: (id) => findRecord(decisionsFile, id),
      readEnd: (id) => findEnd(decisionsFile, id, AbortSignal.timeout(10_000)),
      revoke: revokeBy({ ...directory, signal: AbortSignal.timeout(60_000) }),
      write: (text) => {
        said += text
      },
      colour: false,
      signal: AbortSignal.timeout(60_000),
    })
    assert.ok(wentWell, said)
  }

  const stop = async ({ pid, ended, logLines }: Running): Promise<void> => {
    process.kill(pid, 'SIGTERM')
    const late = AbortSignal.timeout(DRAIN_MS + 2000)
    const never = new Promise<string>((resolve) =>
      late.addEventListener('abort', () => resolve('still runs')),
    )
    assert.equal(await Promise.race([ended, never]), 0, logLines.join('\n'))
    assert.ok(logLines.some((line) => line.includes('"msg":"stopped"')))
  }

  const isHealthy = (found: BuiltImage, user: User | undefined, adminUrl: string): Promise<number | null> => {
    const words = [...commandOf(found, 'HEALTHCHECK'), '--url', `${adminUrl}/healthz`]
    const [command, ...args] = mapCommand(found.root, words)
    const child = spawn(command, args, { stdio: 'ignore', ...user })
    return new Promise((resolve) => child.once('exit', resolve))
  }

  test('serves the demo from a read-only directory as an unprivileged user, is healthy, and stops when told', async (context) => {
    const found = built(context)
    if (found === null) return
    const user = isRoot ? userOf(found) : undefined
    const start = (words: readonly string[]) => runPlainly(found.root, words, WORKDIR, user)
    await whileServing(found, start, async (running, surroundings, decisionsFile) => {
      const { adminUrl } = surroundings.directory
      assert.equal(await isHealthy(found, user, adminUrl), 0)
      await walk(surroundings, decisionsFile)
      await stop(running)
      assert.equal(await isHealthy(found, user, adminUrl), 1)
    })
  })

  test('does the same as process 1 of a container: a root of its own, read-only, without capabilities', {
    skip: canContain() ? false : 'needs root, unshare and setpriv',
  }, async (context) => {
    const found = built(context)
    if (found === null) return
    for (const place of MOUNT_POINTS) mkdirSync(join(found.root, place), { recursive: true })
    writeFileSync(join(found.root, IMAGE_NODE), '')
    const start = (words: readonly string[]) => runContained(found.root, words, LOG, userOf(found))
    await whileServing(found, start, async (running, surroundings, decisionsFile) => {
      const status = readFileSync(`/proc/${running.pid}/status`, 'utf8')
      assert.match(status, /^NSpid:.*\s1$/m)
      assert.match(status, /^Uid:\s65532\s65532\s65532\s65532$/m)
      assert.match(status, /^CapEff:\s0+$/m)
      assert.match(status, /^NoNewPrivs:\s1$/m)
      await walk(surroundings, decisionsFile)
      await stop(running)
    })
  })
})
