import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { bundleVerification } from '../../src/gateway/decide/engines/bundle-signature.ts'
import { loadWasmPolicy } from '../../src/gateway/decide/engines/wasm-policy.ts'
import { startBundleServer } from '../support/bundle-server.ts'
import { runOpa, withoutOpa } from '../support/opa.ts'
import { eventually } from '../support/server-process.ts'
import { type AskedGateway, lastRecord, startAskedGateway } from './engines-world.ts'

const policy = (name: string): string => `package gateway.authz

default allow := false

allow if {
	input.action.name == "read"
	input.subject.id == data.readers[_]
}

verdict := {"decision": allow, "reasons": reasons, "context": context}

reasons contains "reader" if allow

default context := {}

context := {"reason_user": sprintf("%s, vielleicht: %s", [upper(input.resource.id), "${name}"])} if not allow

# Two values of one rule, by what the caller chooses.
fragile := true if input.resource.id != "x"

fragile := false if startswith(input.resource.id, "conflict")

obliging := {"decision": true, "context": {"obligations": [{"id": "1", "type": "notification"}]}}
`

const ENTRYPOINTS = ['allow', 'verdict', 'fragile', 'obliging'].map((rule) => `gateway/authz/${rule}`)

const build = (name: string, more: readonly string[] = [], files = {}): string =>
  runOpa(
    {
      'src/policy.rego': policy(name),
      'src/data.json': '{"readers":["alice"],"n":[1,2.5,"ü<&>"]}',
      ...files,
    },
    ['build', '-t', 'wasm', '-r', name, ...ENTRYPOINTS.flatMap((each) => ['-e', each]), ...more, '-b', 'src'],
  )

const engine = (name: string, bundle: string, entrypoint: string, more = ''): string =>
  `${name}: { type: opa-wasm, bundle: "${bundle}", entrypoint: ${entrypoint}${more} }`

const ROUTES = ['allow', 'verdict', 'fragile', 'obliging']
  .map(
    (name) =>
      `  - { name: ${name}, match: "GET /${name}/{id}", engine: ${name}, evaluation: { action: read, resource: { type: Account, id: $path.id } } }\n`,
  )
  .join('')

const NAMES = ['allow', 'verdict', 'fragile', 'obliging']

describe('a bundle of compiled Rego', { skip: withoutOpa }, () => {
  let gateway: AskedGateway
  before(async () => {
    const bundle = join(build('first'), 'bundle.tar.gz')
    gateway = await startAskedGateway({
      engines: `{ ${NAMES.map((name) => engine(name, bundle, `gateway/authz/${name}`)).join(', ')} }`,
      ask: 'engine: allow',
      routes: ROUTES,
    })
  })
  after(() => gateway?.close())

  test('decides in this process, by its data', async () => {
    assert.equal((await gateway.get('alice', '/allow/1')).status, 200)
    assert.match(String(lastRecord(gateway).policyVersion), /^sha256:[0-9a-f]{64}$/)
    assert.equal((await gateway.get('bob', '/allow/1')).status, 403)
    assert.equal((await gateway.engineState('allow')).reachable, true)
  })

  test('decides by an object, in whatever letters', async () => {
    assert.equal((await gateway.get('alice', '/verdict/1')).status, 200)
    assert.deepEqual(lastRecord(gateway).reasons, ['reader'])
    const refused = await gateway.get('bob', `/verdict/${encodeURIComponent('größe 日本 🏦')}`)
    const { detail } = (await refused.json()) as { readonly detail: string }
    assert.match(detail, /日本 🏦, vielleicht: first$/)
  })

  test('that fails at what a caller sent denies, and goes on', async () => {
    for (let count = 0; count < 20; count += 1) {
      assert.equal((await gateway.get('alice', '/fragile/conflict')).status, 403)
      const { code, errors } = lastRecord(gateway)
      assert.equal(code, 'denied')
      assert.match(String(errors), /multiple|conflict/)
    }
    assert.equal((await gateway.get('alice', '/fragile/1')).status, 200)
  })

  test('does not allow under an obligation', async () => {
    assert.equal((await gateway.get('alice', '/obliging/1')).status, 403)
    assert.match(String(lastRecord(gateway).errors), /notification/)
  })
})

const bundleOf = (directory: string): Buffer => readFileSync(join(directory, 'bundle.tar.gz'))

test('a bundle is renewed from its address, and what cannot be used is not taken over', {
  skip: withoutOpa,
}, async (t) => {
  const server = await startBundleServer(bundleOf(build('r1')))
  t.after(server.close)
  const gateway = await startAskedGateway({
    engines: `{ ${engine('main', `${server.url}/bundle.tar.gz`, 'gateway/authz/verdict', ', poll: 100ms')} }`,
  })
  t.after(gateway.close)
  const detail = async (): Promise<string> => {
    const refused = await gateway.get('bob', '/accounts/1')
    return ((await refused.json()) as { readonly detail: string }).detail
  }
  assert.equal((await gateway.get('alice', '/accounts/1')).status, 200)
  await eventually('the server is asked whether it is newer', () => server.answered.includes(304))
  const { policyVersion } = lastRecord(gateway)

  server.publish(Buffer.from('no bundle'))
  const asked = server.answered.length
  await eventually('that is seen', () => server.answered.length > asked + 1)
  assert.equal((await gateway.get('alice', '/accounts/1')).status, 200)
  assert.equal(lastRecord(gateway).policyVersion, policyVersion)

  server.publish(bundleOf(build('r2')))
  await eventually('the new bundle decides', async () => (await detail()) === '1, vielleicht: r2')
  assert.notEqual(lastRecord(gateway).policyVersion, policyVersion)
  await server.close()
  await eventually('it is known', async () => (await gateway.engineState('main')).reachable === false)
  assert.equal((await gateway.get('alice', '/accounts/1')).status, 200)
})

test('without any bundle there is no decision', async (t) => {
  const server = await startBundleServer(Buffer.from('no bundle'))
  t.after(server.close)
  const engines = `{ ${engine('main', `${server.url}/bundle.tar.gz`, 'gateway/authz/verdict')} }`
  const gateway = await startAskedGateway({ engines })
  t.after(gateway.close)
  assert.equal((await gateway.get('alice', '/accounts/1')).status, 503)
  assert.equal(lastRecord(gateway).code, 'engine_unavailable')
})

describe('a bundle is not used', { skip: withoutOpa }, () => {
  const problemOf = (content: Buffer, more = {}): string => {
    const options = { entrypoint: 'gateway/authz/allow', data: null, verification: null, ...more }
    const loaded = loadWasmPolicy(content, options)
    return 'problem' in loaded ? loaded.problem : ''
  }

  test('without the entrypoint, and those that it has are named', () => {
    const bundle = bundleOf(build('x'))
    assert.equal(problemOf(bundle), '')
    const problem = problemOf(bundle, { entrypoint: 'gateway/authz/alow' })
    assert.match(problem, /gateway\/authz\/allow/)
    assert.match(problem, /gateway\/authz\/verdict/)
  })

  test('when it needs functions that WebAssembly does not have, and they are named', () => {
    const files = {
      'src/more.rego':
        'package more\n\nnow := time.now_ns()\n\nx := http.send({"url": "x", "method": "GET"})\n',
    }
    const problem = problemOf(bundleOf(build('x', ['-e', 'more'], files)))
    assert.match(problem, /http\.send, time\.now_ns/)
  })

  test('when it is none', () => {
    for (const content of [Buffer.alloc(0), Buffer.from('\0asm'), Buffer.from('x'), Buffer.alloc(2000, 1)])
      assert.notEqual(problemOf(content), '')
  })

  test('when the configured data file has a name that it has, too', () => {
    const bundle = bundleOf(build('x'))
    assert.equal(problemOf(bundle, { data: { more: 1 } }), '')
    assert.match(problemOf(bundle, { data: { readers: ['bob'] } }), /readers/)
  })

  test('unless it is signed by the one key and algorithm, as a whole', () => {
    for (const [algorithm, type, options] of [
      ['RS256', 'rsa', { modulusLength: 2048 }],
      ['ES256', 'ec', { namedCurve: 'P-256' }],
    ] as const) {
      const { publicKey, privateKey } =
        type === 'rsa' ? generateKeyPairSync(type, options) : generateKeyPairSync(type, options)
      const pem = publicKey.export({ type: 'spki', format: 'pem' })
      const own = { 'private.pem': privateKey.export({ type: 'pkcs8', format: 'pem' }), 'public.pem': pem }
      const sign = ['--signing-key', 'private.pem', '--signing-alg', algorithm]
      const signed = bundleOf(build('x', sign, own))
      const by = (alg: typeof algorithm | 'PS256', key: string | Buffer, scope: string | null = null) => ({
        verification: bundleVerification(alg, key, scope),
      })
      assert.equal(problemOf(signed, by(algorithm, pem)), '')
      assert.match(problemOf(bundleOf(build('x')), by(algorithm, pem)), /not signed/)
      assert.match(problemOf(signed, by(algorithm, pem, 'write')), /scope/)
      const stranger =
        type === 'rsa' ? generateKeyPairSync(type, options) : generateKeyPairSync(type, options)
      const other = stranger.publicKey.export({ type: 'spki', format: 'pem' })
      assert.match(problemOf(signed, by(algorithm, other)), /configured key/)
      if (type === 'rsa') assert.match(problemOf(signed, by('PS256', pem)), /configured key/)
      // One letter of the data, in the archive.
      const tar = gunzipSync(signed)
      const at = tar.indexOf('"alice"')
      assert.ok(at > 0)
      tar.write('"mally"', at)
      assert.match(problemOf(gzipSync(tar), by(algorithm, pem)), /data\.json is not as it was signed/)
      const renamed = gunzipSync(signed)
      renamed.write('/extra.json', renamed.indexOf('/data.json'))
      assert.notEqual(problemOf(gzipSync(renamed), by(algorithm, pem)), '')
    }
  })
})
