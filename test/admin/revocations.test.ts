import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startAdminWorld } from './admin-world.ts'

const ACCOUNT = '/accounts/1'

test('revoking a subject makes the engine decide again, and is recorded with who and why', async (t) => {
  const { ask, visit, gateway } = await startAdminWorld(t)
  await visit(ACCOUNT)
  await visit(ACCOUNT)
  assert.deepEqual(
    gateway.records().map(({ source }) => source),
    ['engine', 'grant'],
  )
  const body = { subject: 'User::alice', effect: 'grants', reason: 'left the team' }
  const revoked = await ask('/v1/revocations', { method: 'POST', token: 'revoke', body })
  assert.equal(revoked.status, 201, revoked.text)
  assert.deepEqual(
    [revoked.json?.subject, revoked.json?.effect, revoked.json?.reason, revoked.json?.by],
    ['User::alice', 'grants', 'left the team', 'revoker'],
  )
  assert.deepEqual(revoked.json?.replicas, { known: 1, applied: 1 })
  assert.equal((await visit(ACCOUNT)).status, 200)
  const [, , mark, decided] = gateway.records()
  assert.deepEqual([mark?.code, mark?.source, mark?.decision], ['revoked', 'revocation', 'deny'])
  assert.deepEqual(mark?.mark, {
    id: revoked.json?.id,
    kind: 'subject',
    target: 'User::alice',
    effect: 'grants',
    reason: 'left the team',
    by: 'revoker',
    expires: revoked.json?.expires,
  })
  assert.equal(decided?.source, 'engine')
  const listed = await ask('/v1/revocations')
  assert.ok(Array.isArray(listed.json?.revocations))
  assert.equal(listed.json.revocations.length, 1)
})

test('a revoked credential gets 401 with a challenge, on each route, until the mark is withdrawn', async (t) => {
  const { ask, visit, gateway } = await startAdminWorld(t)
  assert.equal((await visit(ACCOUNT)).status, 200)
  const body = { subject: 'User::alice', effect: 'credentials', reason: 'stolen laptop' }
  const revoked = await ask('/v1/revocations', { method: 'POST', body })
  const refused = await visit(ACCOUNT)
  assert.equal(refused.status, 401)
  assert.match(refused.headers['www-authenticate'] ?? '', /^Bearer .*error="invalid_token"/)
  assert.equal(refused.json?.code, 'unauthenticated')
  assert.ok(!refused.text.includes('stolen'))
  assert.equal((await visit(ACCOUNT, 'bob')).status === 401, false)
  const record = gateway.records().find(({ code }) => code === 'unauthenticated')
  assert.match(String(record?.detail), /stolen laptop/)
  const withdrawn = await ask(`/v1/revocations/${revoked.json?.id}`, { method: 'DELETE', token: 'revoke' })
  assert.deepEqual([withdrawn.status, withdrawn.json?.withdrawnBy], [200, 'revoker'])
  assert.equal((await visit(ACCOUNT)).status, 200)
  assert.equal(gateway.records().filter(({ code }) => code === 'revocation_withdrawn').length, 1)
})

test('what is wrong with a revocation is said, and nothing is revoked', async (t) => {
  const { ask } = await startAdminWorld(t)
  const wrong: readonly unknown[] = [
    {},
    { subject: 'User::alice', all: true },
    { subject: 'alice' },
    { all: false },
    { subject: 'User::alice', effect: 'everything' },
    { task: 't', effect: 'credentials' },
    { resource: 'Account::1', effect: 'credentials' },
    { subject: 'User::alice', extra: 1 },
    { all: true, expires: '2020-01-01T00:00:00Z' },
    [],
    null,
  ]
  for (const body of wrong) {
    const reply = await ask('/v1/revocations', { method: 'POST', body })
    assert.equal(reply.status, 400, `${JSON.stringify(body)}: ${reply.text}`)
  }
  const listed = await ask('/v1/revocations')
  assert.deepEqual(listed.json?.revocations, [])
  assert.equal((await ask('/v1/revocations/1-0', { method: 'DELETE' })).status, 404)
})

test('live grants are listed, by what they are about, until they are revoked', async (t) => {
  const { ask, visit, gateway } = await startAdminWorld(t)
  await visit(ACCOUNT)
  const all = await ask('/v1/grants')
  assert.equal(all.json?.total, 1, all.text)
  const [granted] = gateway.records()
  const { grants } = all.json as { grants: readonly Readonly<Record<string, unknown>>[] }
  assert.deepEqual([grants[0]?.subject, grants[0]?.decision], ['User::alice', 'allow'])
  assert.equal(grants[0]?.id, granted?.grant instanceof Object && Reflect.get(granted.grant, 'id'))
  assert.equal((await ask('/v1/grants?subject=User::bob')).json?.total, 0)
  assert.equal((await ask('/v1/grants?subject=User::alice')).json?.total, 1)
  assert.equal((await ask('/v1/grants?sujbect=User::alice')).status, 400)
  await ask('/v1/revocations', { method: 'POST', body: { grant: grants[0]?.id } })
  assert.equal((await ask('/v1/grants')).json?.total, 0)
})
