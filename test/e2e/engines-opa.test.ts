import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { startOpa, withoutOpa } from '../support/opa.ts'
import type { ServerProcess } from '../support/server-process.ts'
import { type AskedGateway, lastRecord, startAskedGateway } from './engines-world.ts'

const POLICY = `package gateway.authz

default allow := false

allow if {
	input.action.name == "read"
	input.subject.id == "alice"
}

verdict := {"decision": allow, "reasons": reasons, "ttl": 5, "context": context}

reasons contains "owner-read" if allow

default context := {}

context := {
	"reason_user": {"403": "Ask the owner of the account."},
	"reason_admin": {"en": "no ownership of ünïcode accounts"},
} if not allow

undefined_for_bob if input.subject.id == "alice"

# A caller chooses the id.
fragile if to_number(input.resource.id) > 5

number := 5

obliging := {"decision": true, "context": {"obligations": [{"id": "1", "type": "notification", "properties": {}}]}}
`

const ENVOY = `package envoy.authz

default allow := false

allow if {
	input.attributes.request.http.method == "GET"
	input.attributes.request.http.headers["x-role"] == "auditor"
	input.parsed_path == ["accounts", "p x"]
	input.parsed_query.month == ["05", "06"]
}

changing := {"allowed": true, "headers": {"x-current-user": "alice"}}
`

const engine = (url: string, name: string, path: string, more = ''): string =>
  `${name}: { type: opa, url: "${url}", path: ${path}, timeout: 10s${more} }`

const PATHS = [
  ['boolean', 'gateway/authz/allow'],
  ['object', 'gateway/authz/verdict'],
  ['undefined', 'gateway/authz/undefined_for_bob'],
  ['absent', 'gateway/nowhere'],
  ['fragile', 'gateway/authz/fragile'],
  ['number', 'gateway/authz/number'],
  ['obliging', 'gateway/authz/obliging'],
] as const

const ROUTES = [...PATHS.map(([name]) => name), 'envoy', 'changing']
  .map(
    (name) => `  - name: ${name}
    match: GET /${name}/{id}
    engine: ${name}
    evaluation: { action: read, resource: { type: Account, id: $path.id } }
`,
  )
  .join('')
  .replaceAll('GET /envoy/', 'GET /accounts/')

describe('an OPA server', { skip: withoutOpa }, () => {
  let opa: ServerProcess
  let gateway: AskedGateway
  before(async () => {
    opa = await startOpa({
      files: { 'policy.rego': POLICY, 'envoy.rego': ENVOY },
      args: ['--set=decision_logs.console=true'],
    })
    const engines = [
      ...PATHS.map(([name, path]) => engine(opa.url, name, path)),
      engine(opa.url, 'envoy', 'envoy/authz/allow', ', input: envoy'),
      engine(opa.url, 'changing', 'envoy/authz/changing', ', input: envoy'),
    ]
    gateway = await startAskedGateway({
      engines: `{ ${engines.join(', ')} }`,
      ask: 'engine: boolean',
      routes: ROUTES,
    })
  })
  after(async () => {
    await gateway?.close()
    await opa?.kill()
  })

  const statusOf = async (name: string, path: string): Promise<number> =>
    (await gateway.get(name, path)).status

  test('decides by a boolean, and its decision_id is in the record', async () => {
    assert.equal(await statusOf('alice', '/boolean/1'), 200)
    const { engineDecisionId, code, engine } = lastRecord(gateway)
    assert.deepEqual([code, engine], ['allowed', 'boolean'])
    assert.match(String(engineDecisionId), /^[0-9a-f-]{36}$/)
    assert.ok(opa.output().includes(String(engineDecisionId)))
    assert.equal(await statusOf('bob', '/boolean/1'), 403)
    assert.equal(lastRecord(gateway).code, 'denied')
  })

  test('decides by an object with reasons; the caller is told one, and operators the other', async () => {
    assert.equal(await statusOf('alice', '/object/1'), 200)
    assert.deepEqual(lastRecord(gateway).reasons, ['owner-read'])
    const refused = await gateway.get('bob', '/object/1')
    const problem = (await refused.json()) as Readonly<Record<string, unknown>>
    assert.deepEqual([refused.status, problem.code], [403, 'denied'])
    assert.equal(problem.detail, 'Ask the owner of the account.')
    assert.equal(lastRecord(gateway).adminReason, 'no ownership of ünïcode accounts')
    assert.ok(!JSON.stringify(problem).includes('ünïcode'))
  })

  test('denies what is undefined', async () => {
    assert.equal(await statusOf('alice', '/undefined/1'), 200)
    assert.equal(await statusOf('bob', '/undefined/1'), 403)
    assert.equal(lastRecord(gateway).code, 'denied')
    assert.equal(await statusOf('alice', '/absent/1'), 403)
    assert.equal(lastRecord(gateway).code, 'denied')
  })

  test('denies where the policy fails at what the caller sent, and goes on answering others', async () => {
    for (let times = 0; times < 8; times += 1) {
      assert.equal(await statusOf('alice', '/fragile/letters'), 403)
      const { code, errors } = lastRecord(gateway)
      assert.equal(code, 'denied')
      assert.match(String(errors), /eval_builtin_error/)
    }
    assert.equal(await statusOf('alice', '/fragile/9'), 200)
  })

  test('gives no decision by a result of another type', async () => {
    assert.equal(await statusOf('alice', '/number/1'), 503)
    assert.equal(lastRecord(gateway).code, 'engine_unavailable')
  })

  test('does not allow what it allows under an obligation that nobody fulfils', async () => {
    assert.equal(await statusOf('alice', '/obliging/1'), 403)
    assert.match(String(lastRecord(gateway).errors), /notification/)
  })

  test('runs Rego that was written for OPA-Envoy', async () => {
    const path = '/accounts/p%20x?month=05&month=06'
    assert.equal((await gateway.get('alice', path, { 'X-Role': 'auditor' })).status, 200)
    assert.equal((await gateway.get('alice', path, { 'X-Role': 'clerk' })).status, 403)
  })

  test('does not allow what OPA-Envoy would have changed first', async () => {
    assert.equal((await gateway.get('alice', '/changing/1')).status, 403)
    assert.match(String(lastRecord(gateway).errors), /envoy:headers/)
  })
})
