import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type RawBackend, startRawBackend } from '../support/backend.ts'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'
import { rawRequest } from '../support/raw-http.ts'
import { edited, get, policy, read, world, write } from './live-world.ts'

const TESTS = `tests:
  - name: things that are open
    request: { url: http://app/things/one, subject: { type: Program, id: any } }
    expect: { decision: allow, route: read }
`

describe('with reload.requireTests', () => {
  let backend: RawBackend
  let gateway: TestGateway
  before(async () => {
    backend = await startRawBackend()
    const files = world(backend.url, { more: 'reload: { requireTests: true }' })
    gateway = await startTestGateway(
      { ...files, 'config/tests/app.yaml': TESTS },
      { watch: { quietMs: 20, patienceMs: 200 } },
    )
  })
  after(async () => {
    await gateway.close()
    await backend.close()
  })

  const statusOf = async (path: string): Promise<number> => (await rawRequest(gateway.port, get(path))).status

  test('an edit that fails a test changes nothing, and is told at its place', async () => {
    const { outcome, findings } = await edited(gateway, () =>
      write(gateway, 'policies/main.cedar', policy('two')),
    )
    assert.equal(outcome, 'rejected')
    assert.deepEqual(
      findings.map(({ rule, line, column }) => ({ rule, line, column })),
      [{ rule: 'decision-test', line: 4, column: 25 }],
    )
    assert.deepEqual(gateway.gateway.configStatus().rejected?.findings, findings)
    assert.deepEqual([await statusOf('/things/one'), await statusOf('/things/two')], [200, 403])
  })

  test('an edit of the tests alone lets the policies in that they fit', async () => {
    const { outcome } = await edited(gateway, () =>
      write(gateway, 'config/tests/app.yaml', TESTS.replace('things/one', 'things/two')),
    )
    assert.equal(outcome, 'applied')
    assert.deepEqual([await statusOf('/things/one'), await statusOf('/things/two')], [403, 200])
  })

  test('a mistake in a test, and tests that are gone, refuse an edit too', async () => {
    const broken = await edited(gateway, () =>
      write(gateway, 'config/tests/app.yaml', 'tests: [{ nam: 1 }]\n'),
    )
    assert.equal(broken.outcome, 'rejected')
    const gone = await edited(gateway, () => rmSync(join(gateway.directory, 'config/tests/app.yaml')))
    assert.equal(gone.outcome, 'rejected')
    assert.match(gone.findings[0]?.message ?? '', /there is no decision test/)
    write(gateway, 'config/tests/app.yaml', TESTS.replace('things/one', 'things/two'))
  })

  test('an edit of the log that fails a test leaves the log as it was', async () => {
    const file = 'config/sallyport.yaml'
    const old = read(gateway, file)
    const { outcome } = await edited(gateway, () => {
      write(gateway, file, old.replace('decisions.ndjson }', 'decisions.ndjson, fsync: true }'))
      write(gateway, 'policies/main.cedar', policy('three'))
    })
    assert.equal(outcome, 'rejected')
    const recorded = gateway.records().length
    assert.deepEqual([await statusOf('/things/two'), await statusOf('/things/two')], [200, 200])
    assert.equal(gateway.records().length, recorded + 2)
  })
})
