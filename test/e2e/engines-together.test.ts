import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { FAULTS, type FaultyEngine, fine, startFaultyEngine } from '../support/faulty-engine.ts'
import { startTestGateway } from '../support/gateway.ts'
import { type AskedGateway, enginesWorld, lastRecord, startAskedGateway } from './engines-world.ts'

const BASELINE = `@id("no-admin") forbid (principal, action, resource == Account::"admin");
@id("else") permit (principal, action, resource);
`
const BANK = `@id("alice") permit (principal == User::"alice", action, resource);
`

const ROUTES = `  - name: read-account
    match: GET /accounts/{id}
    evaluation: { action: read, resource: { type: Account, id: $path.id } }
    grant: { ttl: 1h }
  - name: both
    match: GET /both/{id}
    engines: [bank, remote]
    evaluation: { action: read, resource: { type: Account, id: $path.id } }
  - name: shadowed
    match: GET /shadowed/{id}
    shadow: remote
    evaluation: { action: read, resource: { type: Account, id: $path.id } }
  - { name: health, match: GET /health, access: public }
`
const CEDAR = `baseline: { type: cedar, policies: [../policies/baseline.cedar] }, bank: { type: cedar, policies: [../policies/bank.cedar] }`
const FILES = { 'policies/baseline.cedar': BASELINE, 'policies/bank.cedar': BANK }

describe('several engines', () => {
  let remote: FaultyEngine
  let gateway: AskedGateway
  before(async () => {
    remote = await startFaultyEngine()
    gateway = await startAskedGateway({
      engines: `{ ${CEDAR}, remote: { type: authzen, url: "${remote.url}", timeout: 10s } }`,
      ask: 'engine: bank',
      routes: ROUTES,
      more: 'baseline: baseline',
      files: FILES,
    })
  })
  after(async () => {
    await gateway?.close()
    await remote?.close()
  })

  test("the gateway's baseline is asked on every protected route, beside the engine of its map", async () => {
    assert.equal((await gateway.get('alice', '/accounts/1')).status, 200)
    const allowed = lastRecord(gateway)
    assert.equal(allowed.engine, 'baseline + bank')
    assert.deepEqual(allowed.reasons, ['alice', 'else'])
    assert.match(String(allowed.policyVersion), /^baseline=sha256:\w+ bank=sha256:\w+$/)
    assert.equal((await gateway.get('alice', '/accounts/admin')).status, 403)
    const denied = lastRecord(gateway)
    assert.deepEqual(denied.reasons, ['no-admin'])
    assert.deepEqual(
      (denied.engines as readonly { readonly engine: string }[]).map(({ engine }) => engine),
      ['baseline'],
    )
    assert.equal((await gateway.get('bob', '/accounts/1')).status, 403)
    assert.equal((await gateway.get('bob', '/health')).status, 200)
  })

  test('what they allow together is kept as one grant', async () => {
    await gateway.get('alice', '/accounts/7')
    await gateway.get('alice', '/accounts/7')
    const { source, engines } = lastRecord(gateway)
    assert.deepEqual([source, (engines as readonly unknown[]).length], ['grant', 2])
  })

  test('a route can name several, one of which may be elsewhere', async () => {
    remote.set(fine)
    assert.equal((await gateway.get('alice', '/both/1')).status, 200)
    assert.equal(lastRecord(gateway).engine, 'baseline + bank + remote')
    const asked = remote.asked.length
    assert.equal((await gateway.get('bob', '/both/1')).status, 403)
    assert.equal(remote.asked.length, asked)
    remote.set(FAULTS['answers 500'] ?? fine)
    assert.equal((await gateway.get('alice', '/both/1')).status, 503)
    assert.equal((await gateway.get('bob', '/both/1')).status, 403)
    remote.set(fine)
  })

  test('a shadow is compared with what they say together', async () => {
    assert.equal((await gateway.get('alice', '/shadowed/1')).status, 200)
    assert.equal((lastRecord(gateway).shadow as { readonly agrees: boolean }).agrees, true)
    assert.equal((await gateway.get('bob', '/shadowed/1')).status, 403)
    assert.equal((lastRecord(gateway).shadow as { readonly agrees: boolean }).agrees, false)
  })
})

const routeWith = (more: string): string =>
  `  - { name: a, match: GET /a, evaluation: { action: read, resource: { type: T, id: x } }${more === '' ? '' : `, ${more}`} }\n`

const MISTAKES: Readonly<Record<string, readonly [string, string, string, RegExp]>> = {
  'an unknown baseline': ['engine: bank', routeWith(''), 'baseline: nobody', /unknown engine "nobody"/],
  'an unknown engine in a list': ['engines: [bank, nobody]', routeWith(''), '', /unknown engine "nobody"/],
  'an engine twice in a list': ['engines: [bank, bank]', routeWith(''), '', /"bank" a second time/],
  'engine beside engines': [
    'engine: bank',
    routeWith('engine: bank, engines: [bank]'),
    '',
    /engine beside engines/,
  ],
  'no engine, whatever the baseline': [
    'host: x.test',
    routeWith(''),
    'baseline: bank',
    /missing key "engine"/,
  ],
}

for (const [what, [ask, routes, more, message]] of Object.entries(MISTAKES)) {
  test(`${what} is a mistake in the configuration`, async () => {
    const world = enginesWorld('http://127.0.0.1:9', {
      engines: `{ ${CEDAR} }`,
      ask,
      routes,
      more,
      files: FILES,
    })
    await assert.rejects(startTestGateway(world), message)
  })
}

test('a file that may ask some engines only may not ask others in a list, and is asked of the baseline all the same', async (t) => {
  const options = { engines: `{ ${CEDAR} }`, routes: routeWith(''), more: 'baseline: baseline', files: FILES }
  const confine = (ask: string) => {
    const world = enginesWorld('http://127.0.0.1:9', { ...options, ask })
    const file = 'config/sallyport.yaml'
    const entry = '- { files: routes/*.yaml, engines: [bank] }'
    return { ...world, [file]: (world[file] ?? '').replace('[routes/*.yaml]', `[${entry.slice(2)}]`) }
  }
  await assert.rejects(
    startTestGateway(confine('engines: [bank, baseline]')),
    /"baseline", which this file may not use/,
  )
  const gateway = await startTestGateway(confine('engine: bank'), {
    env: { ADMIN_TOKEN: 'admin-token-of-this-test' },
  })
  t.after(gateway.close)
  assert.equal(gateway.gateway.configuration().routes[0]?.route.engine, 'baseline + bank')
})
