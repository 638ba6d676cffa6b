import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { addAudit } from '../../src/cli/audit.ts'
import { startHttpBackend } from '../support/backend.ts'
import { startCollector } from '../support/collector.ts'
import { runCommand } from '../support/command.ts'
import { readRecords, startTestGateway } from '../support/gateway.ts'
import { rawRequest } from '../support/raw-http.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'

interface Event {
  readonly decision_id: string
  readonly writer: string
  readonly [field: string]: unknown
}

describe("a sink in the shape of OPA's decision log", () => {
  test('has every record of the other one, with nothing lost, a chain that verifies, and what was redacted', async (t) => {
    const backend = await startHttpBackend((_request, response) => void response.end('ok'))
    t.after(() => backend.close())
    const collector = await startCollector()
    t.after(() => collector.close())
    const gateway = await startTestGateway(
      {
        'config/sallyport.yaml': `version: 1
listeners: [{ bind: "127.0.0.1:0" }]
authenticators: { anyone: { type: anonymous } }
engines: { main: { type: cedar, policies: [../policies/*.cedar] } }
audit:
  - { type: file, path: ../log/decisions.ndjson }
  - { type: file, path: ../log/events.ndjson, shape: opa, redact: [request.ip], redactKey: { env: REDACT } }
  - { type: http, url: "${collector.url}", spool: ../spool, shape: opa, format: json, compress: gzip, batchDelay: 10ms }
upstreams: { app: { url: "${backend.url}" } }
routes: [routes/*.yaml]
`,
        'config/routes/app.yaml': `defaults: { host: app, upstream: app, engine: main, authenticate: [anyone] }
routes:
  - { name: public, match: GET /public, access: public }
  - name: account
    match: GET /accounts/{id}
    evaluation: { action: read, resource: { type: Account, id: $path.id }, context: { city: Ulm } }
`,
        'policies/main.cedar':
          '@id("first") permit (principal, action == Action::"read", resource == Account::"1");',
      },
      { env: { REDACT: 'a-key-of-these-tests' } },
    )
    t.after(() => gateway.close())
    for (const path of ['/accounts/1', '/accounts/1', '/accounts/2', '/public', '/nowhere']) {
      const trace = `traceparent: 00-${TRACE}-00f067aa0ba902b7-01\r\n`
      await rawRequest(gateway.port, `GET ${path} HTTP/1.1\r\nHost: app\r\n${trace}Connection: close\r\n\r\n`)
    }
    const log = join(gateway.directory, 'log/events.ndjson')
    const events = readRecords(log) as unknown as readonly Event[]
    const records = gateway.records()
    assert.equal(records.length, 5)
    assert.deepEqual(
      events.map(({ decision_id }) => decision_id),
      records.map(({ id }) => id),
    )
    const [asked, kept, denied, open] = events
    assert.deepEqual(asked?.input, {
      subject: { type: 'Anonymous', id: 'anonymous' },
      action: { name: 'read' },
      resource: { type: 'Account', id: '1' },
      context: { city: 'Ulm' },
    })
    assert.deepEqual(asked?.result, { decision: true, code: 'allowed', source: 'engine', reasons: ['first'] })
    assert.equal(asked?.path, 'sallyport/account')
    assert.equal(asked?.trace_id, TRACE)
    assert.deepEqual(asked?.bundles, { main: { revision: records[0]?.policyVersion } })
    assert.equal(asked?.timestamp, records[0]?.time)
    assert.match(String(asked?.requested_by), /^hmac-sha256:/)
    assert.deepEqual(kept?.result, { decision: true, code: 'allowed', source: 'grant', reasons: ['first'] })
    assert.deepEqual(denied?.result, { decision: false, code: 'denied', source: 'engine', reasons: [] })
    assert.equal(open?.bundles, undefined)
    for (const [index, { sallyport }] of events.entries()) {
      const { request, grant } = sallyport as Event
      assert.deepEqual(grant, records[index]?.grant)
      assert.equal((sallyport as Event).traceparent, records[index]?.traceparent)
      assert.equal((request as Event).path, (records[index]?.request as Event | undefined)?.path)
    }
    const verified = await runCommand(addAudit, ['audit', 'verify', log])
    assert.equal(verified.status, 0, verified.stderr)
    // What is in the spool is sent before it is closed.
    await gateway.close()
    const sent = collector.batches.flatMap(({ text }) => JSON.parse(text) as Event[])
    assert.deepEqual(
      sent.map(({ decision_id }) => decision_id),
      records.map(({ id }) => id),
    )
  })
})
