import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { get, policy, routeMap, world } from '../e2e/live-world.ts'
import { type RawBackend, startRawBackend } from '../support/backend.ts'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'
import { rawRequest } from '../support/raw-http.ts'

const TOKEN = 'a-token-of-an-operator-0123456789'
const READER = 'a-token-of-a-reader-0123456789abc'

describe('POST /v1/replay', () => {
  let backend: RawBackend
  let gateway: TestGateway
  before(async () => {
    backend = await startRawBackend()
    const tokens = `[{ name: op, token: { env: TOKEN }, may: [replay] }, { name: reader, token: { env: READER }, may: [read] }]`
    const more = `admin: { bind: "127.0.0.1:0", tokens: ${tokens} }`
    gateway = await startTestGateway(world(backend.url, { more }), { env: { TOKEN, READER } })
    await rawRequest(gateway.port, get('/things/one'))
    await rawRequest(gateway.port, get('/things/two'))
  })
  after(async () => {
    await gateway.close()
    await backend.close()
  })

  const ask = async (body: unknown, token = TOKEN) => {
    const response = await fetch(`http://${gateway.admin}/v1/replay`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    })
    return { status: response.status, answer: Object(await response.json()) }
  }

  test('finds nothing changed by what runs', async () => {
    const { status, answer } = await ask({})
    const [one, two] = gateway.records()
    assert.equal(status, 200)
    assert.deepEqual(answer.unchanged, [one?.id, two?.id])
    assert.equal(answer.records, 2)
  })

  test('decides the log again by other policies and maps, which then are still not what runs', async () => {
    const [one, two] = gateway.records()
    const swapped = await ask({ files: { '../policies/main.cedar': policy('two') } })
    assert.deepEqual(
      { newlyAllowed: swapped.answer.newlyAllowed, newlyDenied: swapped.answer.newlyDenied },
      { newlyAllowed: [two?.id], newlyDenied: [one?.id] },
    )
    const empty = await ask({
      files: { 'routes/app.yaml': routeMap('  - { name: x, match: GET /x, access: public }') },
    })
    assert.deepEqual(empty.answer.unmapped, [one?.id, two?.id])
    assert.equal((await rawRequest(gateway.port, get('/things/one'))).status, 200)
  })

  test('tells what is wrong with a draft, at its place', async () => {
    const { status, answer } = await ask({ files: { '../policies/main.cedar': 'permit (' } })
    assert.equal(status, 200)
    assert.equal(answer.findings[0].severity, 'error')
  })

  test('takes no other gateway file, no file that the configuration has not read, and no one without the permission', async () => {
    assert.equal((await ask({ files: { 'sallyport.yaml': 'version: 1' } })).status, 400)
    assert.equal((await ask({ files: { '/etc/passwd': '' } })).status, 400)
    assert.equal((await ask({ bytes: 1e12 })).status, 400)
    assert.equal((await ask({}, READER)).status, 403)
  })
})
