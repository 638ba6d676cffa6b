import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { enginesWorld } from '../e2e/engines-world.ts'
import { startFaultyEngine } from '../support/faulty-engine.ts'
import { layOut } from '../support/gateway.ts'

const BIN = fileURLToPath(new URL('../../../bin/sallyport', import.meta.url))

const run = (directory: string, ...args: readonly string[]) =>
  new Promise<{ readonly code: number | null; readonly out: string; readonly err: string }>((resolve) => {
    const config = ['--config', join(directory, 'config/sallyport.yaml')]
    const child = spawn(process.execPath, [BIN, 'engine', 'test', ...args, ...config], {
      env: { ...process.env, ADMIN_TOKEN: 'admin-token-of-this-test' },
    })
    let out = ''
    let err = ''
    child.stdout.on('data', (chunk) => (out += chunk))
    child.stderr.on('data', (chunk) => (err += chunk))
    child.once('close', (code) => resolve({ code, out, err }))
  })

test('an engine is asked one question, and says what it is', async (t) => {
  const remote = await startFaultyEngine()
  t.after(remote.close)
  const directory = layOut(
    enginesWorld('http://127.0.0.1:9', {
      engines: `{ main: { type: cedar, policies: [../*.cedar] }, there: { type: opa, url: "${remote.url}", path: x, timeout: 10s }, away: { type: authzen, url: "http://127.0.0.1:9" } }`,
      files: { 'main.cedar': '@id("everybody") permit (principal, action, resource);' },
    }),
  )
  const [cedar, there, away, unknown, json] = await Promise.all([
    run(directory, 'main'),
    run(directory, 'there'),
    run(directory, 'away'),
    run(directory, 'mian'),
    run(directory, 'main', '--json', '--subject', 'User::alice'),
  ])
  assert.equal(cedar.code, 0)
  assert.match(cedar.out, /answer +allow\nbecause +everybody\nversion +sha256:\w+\nlatency +[\d.]+ ms\n/)
  assert.equal(there.code, 0)
  assert.match(there.out, /answer +allow\nversion +unversioned\n/)
  assert.equal(away.code, 1)
  assert.match(away.out, /answer +none\nbecause +engine away: /)
  assert.equal(unknown.code, 2)
  assert.match(unknown.err, /"mian".*"main"/)
  const { answer } = JSON.parse(json.out) as { readonly answer: { readonly reasons: readonly string[] } }
  assert.deepEqual(answer.reasons, ['everybody'])
})
