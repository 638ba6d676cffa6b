import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type RawBackend, startRawBackend } from '../support/backend.ts'
import { startInDirectory, startTestGateway, type TestGateway, type World } from '../support/gateway.ts'
import { rawRequest } from '../support/raw-http.ts'
import {
  edited,
  gatewayFile,
  get,
  KEY,
  keysFile,
  policy,
  READ,
  replace,
  routeMap,
  WRITE,
  world,
  write,
} from './live-world.ts'

const QUICK = { quietMs: 20, patienceMs: 200 }

const statusOf = async ({ port }: TestGateway, path: string): Promise<number> =>
  (await rawRequest(port, get(path))).status

/** Runs a step against a gateway of its own. */
const withGateway = async (
  files: World,
  step: (gateway: TestGateway) => Promise<void>,
  watch: Parameters<typeof startTestGateway>[1] = { watch: QUICK },
): Promise<void> => {
  const gateway = await startTestGateway(files, watch)
  try {
    await step(gateway)
  } finally {
    await gateway.close()
  }
}

describe('an edit is taken up by itself', () => {
  let backend: RawBackend
  before(async () => {
    backend = await startRawBackend()
  })
  after(() => backend.close())

  const ways: Readonly<Record<string, typeof write>> = {
    'a file written in place': write,
    'a file renamed over it': replace,
  }
  for (const [name, way] of Object.entries(ways)) {
    test(`from ${name}`, () =>
      withGateway(world(backend.url), async (gateway) => {
        assert.deepEqual(
          [await statusOf(gateway, '/things/one'), await statusOf(gateway, '/things/two')],
          [200, 403],
        )
        const { outcome } = await edited(gateway, () => way(gateway, 'policies/main.cedar', policy('two')))
        assert.equal(outcome, 'applied')
        assert.deepEqual(
          [await statusOf(gateway, '/things/one'), await statusOf(gateway, '/things/two')],
          [403, 200],
        )
      }))
  }

  test('from a new file that a pattern matches, and from its deletion', () =>
    withGateway(world(backend.url), async (gateway) => {
      assert.equal(await statusOf(gateway, '/more'), 404)
      const more = routeMap(`  - { name: more, match: GET /more, access: public }`)
      assert.equal(
        (await edited(gateway, () => write(gateway, 'config/routes/more.yaml', more))).outcome,
        'applied',
      )
      assert.equal(await statusOf(gateway, '/more'), 200)
      const remove = () => rmSync(join(gateway.directory, 'config/routes/more.yaml'))
      assert.equal((await edited(gateway, remove)).outcome, 'applied')
      assert.equal(await statusOf(gateway, '/more'), 404)
    }))

  test('from a file in a directory that was not there when it was loaded', () => {
    const deep = gatewayFile(backend.url).replace('routes/*.yaml', 'routes/**/*.yaml')
    return withGateway({ ...world(backend.url), 'config/sallyport.yaml': deep }, async (gateway) => {
      const directory = join(gateway.directory, 'config/routes/a/b')
      assert.equal(
        (await edited(gateway, () => mkdirSync(directory, { recursive: true }))).outcome,
        'unchanged',
      )
      const more = routeMap(`  - { name: more, match: GET /more, access: public }`)
      const add = () => write(gateway, 'config/routes/a/b/more.yaml', more)
      assert.equal((await edited(gateway, add)).outcome, 'applied')
      assert.equal(await statusOf(gateway, '/more'), 200)
    })
  })

  test('from a directory that was replaced by another as a whole', () =>
    withGateway(world(backend.url), async (gateway) => {
      const at = (path: string) => join(gateway.directory, path)
      write(gateway, 'next/main.cedar', policy('two'))
      const swap = () => {
        renameSync(at('policies'), at('before'))
        renameSync(at('next'), at('policies'))
      }
      assert.equal((await edited(gateway, swap)).outcome, 'applied')
      assert.equal(await statusOf(gateway, '/things/two'), 200)
      // The new directory is listened to now, and no longer the one that it replaced.
      assert.equal(
        (await edited(gateway, () => write(gateway, 'policies/main.cedar', policy('one')))).outcome,
        'applied',
      )
      assert.equal(await statusOf(gateway, '/things/one'), 200)
    }))

  test('where the system tells nothing, by looking now and then', () => {
    const far = gatewayFile(backend.url).replace('../policies/*.cedar', '../a/b/c/*.cedar')
    const files = { ...world(backend.url), 'config/sallyport.yaml': far, 'a/b/c/main.cedar': policy('one') }
    const step = async (gateway: TestGateway): Promise<void> => {
      const at = (path: string) => join(gateway.directory, path)
      write(gateway, 'next/b/c/main.cedar', policy('two'))
      // No event comes of this: nothing listens two levels above.
      const swap = () => {
        renameSync(at('a'), at('before'))
        renameSync(at('next'), at('a'))
      }
      assert.equal((await edited(gateway, swap)).outcome, 'applied')
      assert.equal(await statusOf(gateway, '/things/two'), 200)
    }
    return withGateway(files, step, { watch: { ...QUICK, pollMs: 50 } })
  })

  test('from a secret file, which is no part of the version', () => {
    const withSecret = {
      ...world(backend.url, { more: 'secrets: { app: { file: app-secret } }' }),
      'config/routes/app.yaml': routeMap(`${READ}    headers: { X-App-Secret: $secrets.app }\n`),
      'config/app-secret': 'first\n',
    }
    return withGateway(withSecret, async (gateway) => {
      const received = backend.request()
      assert.equal(await statusOf(gateway, '/things/one'), 200)
      assert.deepEqual((await received).header('x-app-secret'), ['first'])
      const { version } = gateway.gateway.configStatus()
      const { outcome, status } = await edited(gateway, () =>
        replace(gateway, 'config/app-secret', 'second\n'),
      )
      assert.deepEqual([outcome, status.version], ['applied', version])
      const next = backend.request()
      assert.equal(await statusOf(gateway, '/things/one'), 200)
      assert.deepEqual((await next).header('x-app-secret'), ['second'])
    })
  })

  test('when it comes while another is taken up', () =>
    withGateway(world(backend.url), async (gateway) => {
      await edited(gateway, () => {
        write(gateway, 'policies/main.cedar', policy('two'))
        void gateway.gateway.reload()
      })
      // Straight after the answer to the first, and in several steps.
      const last = edited(gateway, () => write(gateway, 'policies/main.cedar', policy('three')))
      write(gateway, 'policies/more.cedar', policy('four'))
      await last
      await gateway.gateway.reload()
      const found = await Promise.all(
        ['one', 'two', 'three', 'four'].map((id) => statusOf(gateway, `/things/${id}`)),
      )
      assert.deepEqual(found, [403, 403, 200, 200])
    }))

  test('is none when nothing but a time has changed', () =>
    withGateway(world(backend.url), async (gateway) => {
      const { appliedAt } = gateway.gateway.configStatus()
      write(gateway, 'policies/main.cedar', policy('one'))
      assert.equal((await gateway.gateway.reload()).outcome, 'unchanged')
      assert.equal(gateway.gateway.configStatus().appliedAt, appliedAt)
    }))
})

/** Lays out a directory as the kubelet does for a ConfigMap: every name leads through the link `..data`. */
const mountConfigMap = (directory: string, files: World): void => {
  writeVersion(directory, '..v1', files)
  symlinkSync('..v1', join(directory, '..data'))
  for (const name of Object.keys(files)) symlinkSync(join('..data', name), join(directory, name))
}

const writeVersion = (directory: string, version: string, files: World): void => {
  mkdirSync(join(directory, version), { recursive: true })
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, version, name), content)
}

const swapConfigMap = (directory: string, version: string, files: World): void => {
  writeVersion(directory, version, files)
  symlinkSync(version, join(directory, '..data_tmp'))
  renameSync(join(directory, '..data_tmp'), join(directory, '..data'))
  for (const old of readdirSync(directory)) {
    if (/^\.\.v/.test(old) && old !== version) rmSync(join(directory, old), { recursive: true })
  }
}

test('a ConfigMap is taken up when its link is swapped, time after time, also after a bad one', async () => {
  const backend = await startRawBackend()
  const configMap = (...things: readonly string[]): World => ({
    'sallyport.yaml': gatewayFile(backend.url)
      .replace('../policies/*.cedar', './*.cedar')
      .replace('routes/*.yaml', 'app.yaml'),
    'app.yaml': routeMap(READ + WRITE),
    'keys.yaml': keysFile(KEY),
    'main.cedar': policy(...things),
  })
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-'))
  const mount = join(directory, 'config')
  mountConfigMap(mount, configMap('one'))
  const gateway = await startInDirectory(directory, { watch: QUICK })
  try {
    assert.equal(await statusOf(gateway, '/things/one'), 200)
    for (const [version, thing] of [
      ['..v2', 'two'],
      ['..v3', 'three'],
    ] as const) {
      const outcome = await edited(gateway, () => swapConfigMap(mount, version, configMap(thing)))
      assert.equal(outcome.outcome, 'applied')
      assert.equal(await statusOf(gateway, `/things/${thing}`), 200)
      assert.equal(await statusOf(gateway, '/things/one'), 403)
    }
    const bad = { ...configMap('four'), 'app.yaml': 'routes: 1' }
    assert.equal((await edited(gateway, () => swapConfigMap(mount, '..v4', bad))).outcome, 'rejected')
    assert.equal(await statusOf(gateway, '/things/three'), 200)
    const good = await edited(gateway, () => swapConfigMap(mount, '..v5', configMap('five')))
    assert.deepEqual([good.outcome, good.status.rejected], ['applied', null])
    assert.equal(await statusOf(gateway, '/things/five'), 200)
  } finally {
    await gateway.close()
    await backend.close()
  }
})
