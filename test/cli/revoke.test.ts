import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startAdminWorld, TOKENS } from '../admin/admin-world.ts'

const BIN = fileURLToPath(new URL('../../../bin/sallyport', import.meta.url))

const run = (args: readonly string[], token: string) =>
  new Promise<{ readonly code: number | null; readonly out: string; readonly err: string }>((resolve) => {
    const child = spawn(process.execPath, [BIN, ...args], {
      env: { ...process.env, SALLYPORT_ADMIN_TOKEN: token },
    })
    let out = ''
    let err = ''
    child.stdout.on('data', (chunk) => {
      out += chunk
    })
    child.stderr.on('data', (chunk) => {
      err += chunk
    })
    child.once('close', (code) => resolve({ code, out, err }))
  })

test('grants are listed, taken back, and given again when the mark is withdrawn', async (t) => {
  const { gateway, visit } = await startAdminWorld(t)
  const admin = ['--admin', `http://${gateway.admin}`]
  await visit('/accounts/1')
  const listed = await run(['grants', 'list', ...admin], TOKENS.read)
  assert.match(listed.out, /^allow {2}User::alice {2}\S+::1 {2}until \S+ {2}grant {2}.*\n1 of 1 grants\n$/)
  const about = ['--subject', 'User::alice', '--effect', 'credentials', '--reason', 'left']
  const revoked = await run(['revoke', ...admin, ...about], TOKENS.revoke)
  assert.equal(revoked.code, 0, revoked.err)
  assert.match(revoked.out, /^revoked: .*by revoker.*left\napplied by 1 of 1 gateways\n$/)
  assert.equal((await visit('/accounts/1')).status, 401)
  const marks = await run(['revoke', ...admin, '--list', '--json'], TOKENS.read)
  const { revocations } = JSON.parse(marks.out)
  const withdrawn = await run(['revoke', ...admin, '--withdraw', revocations[0].id], TOKENS.revoke)
  assert.equal(withdrawn.code, 0, withdrawn.err)
  assert.equal((await visit('/accounts/1')).status, 200)
})

test('what is wrong is said: 1 when the admin port refuses, 2 for bad usage', async (t) => {
  const { gateway } = await startAdminWorld(t)
  const admin = ['--admin', `http://${gateway.admin}`]
  const refused = await run(['revoke', ...admin, '--all'], TOKENS.read)
  assert.equal(refused.code, 1)
  assert.match(refused.err, /refused with 403/)
  assert.equal((await run(['revoke', ...admin], TOKENS.revoke)).code, 2)
  assert.equal((await run(['revoke', ...admin, '--all', '--task', 't'], TOKENS.revoke)).code, 2)
})
