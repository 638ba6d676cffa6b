import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { repositoryRoot } from '../house/source-files.ts'
import { type RawBackend, startRawBackend } from '../support/backend.ts'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'
import { KEY, world } from './live-world.ts'

const VERIFIERS: Readonly<Record<string, readonly [command: string, ...args: string[]]>> = {
  Node: [process.execPath, 'docs/verifiers/verify.mjs'],
  Python: ['python3', 'docs/verifiers/verify.py'],
  Go: ['go', 'run', 'docs/verifiers/verify.go'],
}

let backend: RawBackend
let gateway: TestGateway
let assertion = ''
let keysFile = ''

before(async () => {
  backend = await startRawBackend()
  gateway = await startTestGateway(world(backend.url))
  const base = `http://127.0.0.1:${gateway.port}`
  const answer = await fetch(`${base}/things/one`, { headers: { 'X-Api-Key': KEY.key } })
  assert.equal(answer.status, 200)
  assertion = backend.requests.at(-1)?.header('sallyport-assertion')[0] ?? ''
  keysFile = join(gateway.directory, 'jwks.json')
  writeFileSync(keysFile, await (await fetch(`${base}/.well-known/sallyport/jwks.json`)).text())
})

after(async () => {
  await gateway?.close()
  await backend?.close()
})

const isThere = (command: string): boolean =>
  spawnSync(command, [command === 'go' ? 'version' : '--version']).status === 0

describe('the verifiers of docs/assertion.md', () => {
  for (const [language, [command, ...args]] of Object.entries(VERIFIERS)) {
    const skip = isThere(command) ? false : `there is no ${command} to run the verifier in ${language} by`

    test(`${language}: takes a real assertion, and none that was changed or is for another`, { skip }, () => {
      const verify = (text: string, ...more: readonly string[]) =>
        spawnSync(command, [...args, text, keysFile, ...more], {
          cwd: repositoryRoot,
          encoding: 'utf8',
          timeout: 120_000,
          env: { ...process.env, GOFLAGS: '', GO111MODULE: 'off' },
        })
      const good = verify(assertion, 'app')
      assert.equal(good.status, 0, good.stderr)
      const { sub, action, resource } = JSON.parse(good.stdout)
      assert.deepEqual([sub, action, resource], [KEY.id, { name: 'read' }, { type: 'Thing', id: 'one' }])
      const [header = '', payload = '', signature = ''] = assertion.split('.')
      const other = Buffer.from(
        Buffer.from(payload, 'base64url').toString().replace('"one"', '"two"'),
      ).toString('base64url')
      const none = Buffer.from('{"alg":"none"}').toString('base64url')
      assert.notEqual(verify(assertion, 'other').status, 0)
      assert.notEqual(verify(assertion, 'app', 'another issuer').status, 0)
      assert.notEqual(verify(`${header}.${other}.${signature}`, 'app').status, 0)
      assert.notEqual(verify(`${none}.${payload}.`, 'app').status, 0)
      assert.notEqual(verify(`${header}.${payload}.${'A'.repeat(86)}`, 'app').status, 0)
    })
  }
})
