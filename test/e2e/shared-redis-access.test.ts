import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { createAuthority, type TestCertificate } from '../support/certificates.ts'
import { freePort, withoutRedis, withoutRedisTls } from '../support/redis-server.ts'
import { type SharedOptions, startWorld, until } from './shared-world.ts'

const PASSWORD = 'the-password-of-the-gateways-5kQ'

/** What docs/revocation.md asks for, and nothing else. */
const USER = [
  ...['--user', 'sallyport', 'on', `>${PASSWORD}`, '~sallyport:1:*'],
  ...['+@read', '+@write', '+@scripting', '+@connection', '+info', '+time', '+wait'],
]

interface Tls {
  readonly port: number
  readonly args: readonly string[]
}

const tlsOf = async (t: TestContext, authority: TestCertificate): Promise<Tls> => {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-redis-tls-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const { cert, key } = authority.issue({ commonName: 'redis', names: ['127.0.0.1'] })
  for (const [name, content] of Object.entries({ cert, key })) writeFileSync(join(directory, name), content)
  const port = await freePort()
  const files = ['--tls-cert-file', join(directory, 'cert'), '--tls-key-file', join(directory, 'key')]
  return { port, args: ['--tls-port', `${port}`, ...files, '--tls-auth-clients', 'no'] }
}

const grantsMadeByOneServeAtTheOther = async (t: TestContext, options: SharedOptions): Promise<void> => {
  const { replicas, redis } = await startWorld(t, 2, options)
  const [a, b] = replicas
  assert.ok(a !== undefined && b !== undefined)
  assert.equal(await a.visit(), 200)
  await until(async () => (await redis.admin.keys('sallyport:1:i:*')).length === 2)
  assert.equal(await b.visit(), 200)
  assert.equal(b.sources().at(-1), 'grant-shared')
  const body = { subject: 'User::alice', effect: 'credentials', reason: 'why' }
  const revoked = await a.ask('/v1/revocations', { method: 'POST', body })
  assert.deepEqual(revoked.json?.replicas, { known: 2, applied: 2 }, revoked.text)
  assert.equal(await b.visit(), 401)
  const listed = await b.ask('/v1/grants?subject=User::alice')
  assert.equal(listed.json?.shared, 'listed')
}

describe('a Redis that lets in only whom it knows', { skip: withoutRedis, timeout: 60_000 }, () => {
  test('is shared by a user who may do no more than the documents say', async (t) => {
    await grantsMadeByOneServeAtTheOther(t, {
      args: USER,
      redis: '{ username: sallyport, password: { env: REDIS_PASSWORD }, commandTimeout: 2s }',
      env: { REDIS_PASSWORD: PASSWORD },
    })
  })

  test('is shared over TLS', { skip: withoutRedisTls() }, async (t) => {
    const authority = createAuthority()
    const { port, args } = await tlsOf(t, authority)
    await grantsMadeByOneServeAtTheOther(t, {
      args: [...USER, ...args],
      store: () => `rediss://127.0.0.1:${port}/0`,
      redis:
        '{ username: sallyport, password: { env: REDIS_PASSWORD }, tls: { caFile: ca.pem }, commandTimeout: 2s }',
      files: { 'config/ca.pem': authority.cert },
      env: { REDIS_PASSWORD: PASSWORD },
    })
  })
})
