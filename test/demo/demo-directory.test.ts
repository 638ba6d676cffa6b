import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { prepareDemoDirectory } from '../../src/demo/demo-directory.ts'
import { closeServer, listenLocally } from '../../src/demo/local-server.ts'
import { repositoryRoot } from '../house/source-files.ts'

const options = {
  source: repositoryRoot,
  bankUrl: 'http://127.0.0.1:12345',
  issuer: 'http://127.0.0.1:12346',
  jwks: { keys: [] },
  partnerKey: { id: 'acme-1', hash: 'sha256:00' },
  keepPorts: false,
}

test("lays out the repository's configuration with the ports and keys of this run", async () => {
  const directory = await prepareDemoDirectory(options)
  try {
    const config = await readFile(directory.configFile, 'utf8')
    const { port } = new URL(directory.gatewayUrl)
    assert.ok(config.includes(`bind: 127.0.0.1:${port}\n`))
    assert.ok(config.includes(`bind: ${new URL(directory.adminUrl).host}\n`))
    assert.ok(config.includes('url: http://127.0.0.1:12345 '))
    assert.equal(config.split('issuer: http://127.0.0.1:12346\n').length, 3)
    const readConfig = (name: string): Promise<string> =>
      readFile(join(directory.path, 'config', name), 'utf8')
    assert.deepEqual(JSON.parse(await readConfig('jwks.json')), { keys: [] })
    assert.match(await readConfig('routes/bank.yaml'), /authenticate: \[staff, browser\]/)
    assert.match(await readConfig('keys.yaml'), /"hash":"sha256:00"/)
    assert.ok(existsSync(join(directory.path, 'policies', 'bank', 'transfers.cedar')))
  } finally {
    await directory.remove()
  }
  assert.equal(existsSync(directory.path), false)
})

test('takes another port when the one of the configuration is in use', async () => {
  const occupant = createServer()
  const occupied = new URL(await listenLocally(occupant, 0)).host
  const source = await mkdtemp(join(tmpdir(), 'sallyport-test-'))
  try {
    await mkdir(join(source, 'config'))
    await mkdir(join(source, 'policies'))
    const config = await readFile(join(repositoryRoot, 'config', 'sallyport.yaml'), 'utf8')
    const moved = config.replaceAll(/bind: 127\.0\.0\.1:\d+/g, `bind: ${occupied}`)
    await writeFile(join(source, 'config', 'sallyport.yaml'), moved)
    await cp(join(repositoryRoot, 'config', 'routes'), join(source, 'config', 'routes'), { recursive: true })
    const directory = await prepareDemoDirectory({ ...options, source, keepPorts: true })
    const { gatewayUrl, adminUrl, remove } = directory
    await remove()
    const { port } = new URL(`http://${occupied}`)
    assert.notEqual(new URL(gatewayUrl).port, port)
    assert.notEqual(new URL(adminUrl).port, port)
  } finally {
    await rm(source, { recursive: true })
    await closeServer(occupant)
  }
})

test('says so when the configuration is not what it expects', async () => {
  const source = await mkdtemp(join(tmpdir(), 'sallyport-test-'))
  try {
    await mkdir(join(source, 'config'))
    await mkdir(join(source, 'policies'))
    await writeFile(join(source, 'config', 'sallyport.yaml'), 'version: 1\n')
    await assert.rejects(prepareDemoDirectory({ ...options, source }), /expected one listener/)
  } finally {
    await rm(source, { recursive: true })
  }
})
