import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startCerbos, withoutCerbos } from '../support/cerbos.ts'
import { eventually, type ServerProcess } from '../support/server-process.ts'
import { type AskedGateway, lastRecord, startAskedGateway } from './engines-world.ts'

const POLICY = `apiVersion: api.cerbos.dev/v1
resourcePolicy:
  resource: Account
  version: default
  rules:
    - actions: [read]
      effect: EFFECT_ALLOW
      roles: [User]
      condition: { match: { expr: P.id == "alice" } }
    - actions: [transfer]
      effect: EFFECT_ALLOW
      roles: [User]
      condition: { match: { expr: R.attr.side == "debit" } }
`

const ROUTES = `  - name: read-account
    match: GET /accounts/{id}
    evaluation: { action: read, resource: { type: Account, id: $path.id } }
  - name: move
    match: GET /move/{from}/{to}
    evaluations:
      action: transfer
      evaluations:
        - resource: { type: Account, id: $path.from, properties: { side: debit } }
        - resource: { type: Account, id: $path.to, properties: { side: credit } }
  - name: several
    match: GET /several/{one}/{two}
    evaluations:
      action: read
      evaluations:
        - resource: { type: Account, id: $path.one }
        - resource: { type: Account, id: $path.two }
`

describe('Cerbos, by AuthZEN', { skip: withoutCerbos }, () => {
  let cerbos: ServerProcess
  let gateway: AskedGateway
  before(async () => {
    cerbos = await startCerbos({ 'account.yaml': POLICY })
    gateway = await startAskedGateway({
      engines: `{ main: { type: authzen, url: "${cerbos.url}", timeout: 10s, policyVersion: bank-7 } }`,
      routes: ROUTES,
    })
  })
  after(async () => {
    await gateway?.close()
    await cerbos?.kill()
  })

  test('decides one question', async () => {
    assert.equal((await gateway.get('alice', '/accounts/ä%20b')).status, 200)
    const { policyVersion, engineDecisionId } = lastRecord(gateway)
    assert.equal(policyVersion, 'bank-7')
    assert.match(String(engineDecisionId), /^[0-9a-f-]{36}$/)
    assert.equal((await gateway.get('bob', '/accounts/1')).status, 403)
    assert.equal(lastRecord(gateway).code, 'denied')
    assert.equal((await gateway.engineState('main')).reachable, true)
  })

  test('decides several questions, each of which must be allowed', async () => {
    assert.equal((await gateway.get('alice', '/several/1/2')).status, 200)
    assert.equal((await gateway.get('bob', '/several/1/2')).status, 403)
    const { evaluations } = lastRecord(gateway)
    assert.deepEqual(
      (evaluations as readonly { readonly decision: string }[]).map(({ decision }) => decision),
      ['deny', 'deny'],
    )
  })

  test('does not decide one question about an account by the properties of another about it', async () => {
    // From an account to itself: asked in one request, Cerbos answers both by the debit, and allows.
    assert.equal((await gateway.get('alice', '/move/1/1')).status, 403)
    assert.deepEqual(
      (lastRecord(gateway).evaluations as readonly { readonly decision: string }[]).map(
        ({ decision }) => decision,
      ),
      ['allow', 'deny'],
    )
  })
})

test('Cerbos that is killed or frozen lets nobody in, and is used again', {
  skip: withoutCerbos,
}, async (t) => {
  const first = await startCerbos({ 'account.yaml': POLICY })
  t.after(first.kill)
  const gateway = await startAskedGateway({
    engines: `{ main: { type: authzen, url: "${first.url}", timeout: 700ms, poll: 100ms } }`,
    routes: ROUTES,
  })
  t.after(gateway.close)
  const status = async (): Promise<number> => (await gateway.get('alice', '/accounts/1')).status
  await eventually('the engine answers', async () => (await status()) === 200)
  first.freeze()
  assert.equal(await status(), 503)
  assert.equal(lastRecord(gateway).code, 'engine_unavailable')
  first.thaw()
  await eventually('the engine that was frozen answers', async () => (await status()) === 200)
  await first.kill()
  for (let count = 0; count < 8; count += 1) assert.equal(await status(), 503)
  const second = await startCerbos({ 'account.yaml': POLICY }, first.port)
  t.after(second.kill)
  await eventually('the engine that was killed answers', async () => (await status()) === 200)
})
