import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { request } from 'node:http'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { repositoryRoot } from '../house/source-files.ts'
import { type RawBackend, startRawBackend } from '../support/backend.ts'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'
import { KEY, policy, routeMap, world } from './live-world.ts'

/** Whoever comes from there is the proxy that knows the devices. */
const PROXY = '127.0.0.2'
const LISTENERS = `
  - { bind: "127.0.0.1:0", trustedProxies: [{ cidrs: [${PROXY}], posture: [X-Device-Compliant] }] }
  - { bind: "127.0.0.1:0" }
  - bind: "127.0.0.1:0"
    speaks: forward-auth
    trustedProxies: [{ cidrs: [${PROXY}], posture: [X-Device-Compliant] }, { cidrs: [127.0.0.1] }]`

const ENV = { ADMIN_TOKEN: 'a-token-for-the-admin-port' }

const route = (context: string): string => `  - name: read
    match: GET /things/{id}
    evaluation: { action: read, resource: { type: Thing, id: $path.id }, context: { ${context} } }
`

/** The status, and what the admin port says of the question. */
const explainAt = async (admin: string | null, more: object) => {
  const response = await fetch(`http://${admin}/v1/explain`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${ENV.ADMIN_TOKEN}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({
      ...{ method: 'GET', url: 'http://app/things/one' },
      headers: { 'X-Api-Key': KEY.key, 'X-Device-Compliant': 'yes' },
      ...more,
    }),
  })
  const { decision, leftOut } = (await response.json()) as {
    decision: string
    leftOut: readonly { header: string }[]
  }
  return [response.status, decision, leftOut?.map(({ header }) => header)]
}

const worldOf = (backend: RawBackend, listeners = LISTENERS) => ({
  ...world(backend.url, {
    listeners,
    more: 'admin: { bind: "127.0.0.1:0", token: { env: ADMIN_TOKEN } }',
  }),
  'config/routes/app.yaml': routeMap(
    route(`compliant: '$request.posture[?"x-device-compliant"]', due: $credential.rotationDue`),
  ),
  'config/keys.yaml': JSON.stringify({
    keys: [{ id: KEY.id, hash: KEY.hash, subject: { type: 'Program', id: 'p' }, rotateAfter: '2099-01-01' }],
  }),
  'policies/main.cedar': `permit (principal, action == Action::"read", resource == Thing::"one")
    when { context has compliant && context.compliant == "yes" && !context.due };`,
})

describe('what a proxy says of the device', () => {
  let backend: RawBackend
  let gateway: TestGateway
  before(async () => {
    backend = await startRawBackend()
    gateway = await startTestGateway(worldOf(backend), { env: ENV })
  })
  after(async () => {
    await gateway?.close()
    await backend?.close()
  })

  const ask = (
    from: string,
    headers: Readonly<Record<string, string | readonly string[]>>,
    port = gateway.port,
  ): Promise<number> =>
    new Promise((resolve, reject) => {
      const sent = request({
        ...{ host: '127.0.0.1', port, path: '/things/one', localAddress: from, agent: false },
        headers: { 'X-Api-Key': KEY.key, ...headers } as Record<string, string | string[]>,
      })
      sent.on('response', (response) => {
        response.resume()
        response.on('end', () => resolve(response.statusCode ?? 0))
      })
      sent.on('error', reject)
      sent.end()
    })

  const lastContext = () => gateway.records().at(-1)?.context

  test('becomes part of what is asked, and reaches the application', async () => {
    assert.equal(await ask(PROXY, { 'X-Device-Compliant': 'yes' }), 200)
    assert.deepEqual(lastContext(), { compliant: 'yes', due: false })
    assert.deepEqual(backend.requests.at(-1)?.header('x-device-compliant'), ['yes'])
    assert.equal(await ask(PROXY, { 'X-Device-Compliant': 'no' }), 403)
    assert.deepEqual(lastContext(), { compliant: 'no', due: false })
  })

  test('counts for nothing when somebody else says it, in whatever spelling', async () => {
    for (const name of ['X-Device-Compliant', 'x-device-compliant', 'X-DEVICE-COMPLIANT']) {
      assert.equal(await ask('127.0.0.1', { [name]: 'yes' }), 403)
      assert.deepEqual(lastContext(), { due: false })
    }
    assert.equal(await ask('127.0.0.1', { X_Device_Compliant: 'yes' }), 400)
    assert.equal(await ask(PROXY, { X_Device_Compliant: 'yes' }), 400)
  })

  test('counts for nothing at a listener that does not list that proxy', async () => {
    const port = Number((gateway.gateway.addresses[1] ?? '').split(':')[1])
    assert.notEqual(port, gateway.port)
    assert.equal(await ask(PROXY, { 'X-Device-Compliant': 'yes' }, port), 403)
    assert.deepEqual(lastContext(), { due: false })
  })

  test('is believed of a proxy that asks where that one is listed for it, and of no other', async () => {
    const port = Number((gateway.gateway.addresses[2] ?? '').split(':')[1])
    const question = {
      'X-Forwarded-Method': 'GET',
      'X-Forwarded-Proto': 'http',
      'X-Forwarded-Host': 'app',
      'X-Forwarded-Uri': '/things/one',
      'X-Forwarded-For': '192.0.2.1',
      'X-Device-Compliant': 'yes',
    }
    assert.equal(await ask(PROXY, question, port), 200)
    assert.deepEqual(lastContext(), { compliant: 'yes', due: false })
    assert.equal(await ask('127.0.0.1', question, port), 403)
    assert.deepEqual(lastContext(), { due: false })
  })

  test('is on record, so that what was asked can be decided again', async () => {
    assert.equal(await ask(PROXY, { 'X-Device-Compliant': 'yes' }), 200)
    const { directory } = gateway
    const { stdout, status } = spawnSync(
      process.execPath,
      [
        ...[join(repositoryRoot, 'bin', 'sallyport'), 'replay', join(directory, 'log/decisions.ndjson')],
        ...['--config', join(directory, 'config/sallyport.yaml'), '--json'],
      ],
      { encoding: 'utf8', timeout: 60_000, env: { ...process.env, ...ENV } },
    )
    const { newlyDenied, undecidable } = JSON.parse(stdout)
    assert.equal(status, 0)
    assert.deepEqual(newlyDenied, [])
    // What was refused before it was mapped cannot be decided at all.
    const mapped = gateway.records().filter(({ context }) => context !== undefined)
    assert.ok(mapped.length > 0 && mapped.every(({ id }) => !undecidable.includes(id)))
  })

  test('is explained as it would count from where the asker says, and said to be left out otherwise', async () => {
    const question = ['explain', 'GET', 'http://app/things/one', '--json', '--config']
    const explained = (...more: readonly string[]) => {
      const { stdout, status } = spawnSync(
        process.execPath,
        [
          ...[join(repositoryRoot, 'bin', 'sallyport'), ...question],
          ...[join(gateway.directory, 'config/sallyport.yaml'), '-H', `X-Api-Key: ${KEY.key}`],
          ...['-H', 'X-Device-Compliant: yes', ...more],
        ],
        { encoding: 'utf8', timeout: 60_000, env: { ...process.env, ...ENV } },
      )
      return { status, answer: stdout === '' ? null : JSON.parse(stdout) }
    }
    const without = explained()
    assert.equal(without.status, 1)
    assert.deepEqual(without.answer.leftOut, [
      { header: 'x-device-compliant', why: 'peer_not_listed', peer: '127.0.0.1' },
    ])
    const from = explained('--ip', PROXY)
    assert.equal(from.status, 0)
    assert.deepEqual(from.answer.leftOut, [])
    assert.deepEqual(from.answer.accessRequest.context, { compliant: 'yes', due: false })
    assert.equal(from.answer.request.ip, PROXY)
    assert.equal(explained('--ip', '127.0.0.3').status, 1)
    assert.equal(explained('--ip', 'the proxy').status, 2)
  })

  test('is explained by the admin port as it would count from where the asker says', async () => {
    assert.deepEqual(await explainAt(gateway.admin, {}), [200, 'deny', ['x-device-compliant']])
    assert.deepEqual(await explainAt(gateway.admin, { ip: PROXY }), [200, 'allow', []])
    assert.deepEqual(await explainAt(gateway.admin, { ip: '192.0.2.1' }), [
      200,
      'deny',
      ['x-device-compliant'],
    ])
    assert.equal((await explainAt(gateway.admin, { ip: 'the proxy' }))[0], 400)
    // It would come in where that proxy is listed, whichever listener is the first.
    const listeners = `[{ bind: "127.0.0.1:0" }, { bind: "127.0.0.1:0", trustedProxies: [{ cidrs: [${PROXY}], posture: [X-Device-Compliant] }] }]`
    const other = await startTestGateway(worldOf(backend, listeners), { env: ENV })
    try {
      assert.deepEqual(await explainAt(other.admin, { ip: PROXY }), [200, 'allow', []])
      assert.deepEqual(await explainAt(other.admin, {}), [200, 'deny', ['x-device-compliant']])
    } finally {
      await other.close()
    }
  })

  test('is refused when it is said twice', async () => {
    assert.equal(await ask(PROXY, { 'X-Device-Compliant': ['no', 'yes'] }), 400)
  })
})

describe('a mapping that reads posture', () => {
  const mistakes = async (context: string, listeners = LISTENERS): Promise<string> => {
    const files = {
      ...world('http://127.0.0.1:1', { listeners }),
      'config/routes/app.yaml': routeMap(route(context)),
      'policies/main.cedar': policy('one'),
    }
    return startTestGateway(files).then(
      async (started) => {
        await started.close()
        return ''
      },
      (error: unknown) => String(error),
    )
  }

  test('is refused at load when no proxy is listed for that name, or the name has a slip in it', async () => {
    const read = (name: string) => `a: '$request.posture["${name}"]'`
    assert.equal(await mistakes(read('x-device-compliant')), '')
    assert.match(await mistakes(read('x-device-complaint')), /did you mean.*x-device-compliant/)
    assert.match(await mistakes(read('X-Device-Compliant')), /x-device-compliant/)
    assert.match(await mistakes(read('x-device-compliant'), '[{ bind: "127.0.0.1:0" }]'), /none of the/)
    assert.match(await mistakes('a: $request.posture'), /literal name/)
    assert.match(await mistakes(`a: '$request.headers["x-device-compliant"]'`), /read request\.posture/)
    assert.match(await mistakes('a: $credential.rotationDeu'), /rotationDue/)
    assert.match(await mistakes('a: $credential.rotationDue + 1'), /overload|type/i)
  })

  test('is refused at load when the header has another meaning', async () => {
    const listed = LISTENERS.replace('X-Device-Compliant', 'X-Forwarded-For')
    assert.match(await mistakes('a: $path.id', listed), /another meaning/)
  })
})
