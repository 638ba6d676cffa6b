import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { FAULTS, type FaultyEngine, fine, startFaultyEngine } from '../support/faulty-engine.ts'
import { startOpa, withoutOpa } from '../support/opa.ts'
import { eventually } from '../support/server-process.ts'
import { type AskedGateway, lastRecord, startAskedGateway } from './engines-world.ts'

const KINDS: Readonly<Record<string, (url: string) => string>> = {
  opa: (url) => `{ main: { type: opa, url: "${url}", path: gateway/authz/allow, timeout: 700ms } }`,
  authzen: (url) => `{ main: { type: authzen, url: "${url}", timeout: 700ms } }`,
}

for (const [kind, engines] of Object.entries(KINDS)) {
  describe(`an engine of the type ${kind}`, () => {
    let engine: FaultyEngine
    let gateway: AskedGateway
    before(async () => {
      engine = await startFaultyEngine()
      gateway = await startAskedGateway({ engines: engines(engine.url) })
    })
    after(async () => {
      await gateway?.close()
      await engine?.close()
    })

    for (const [what, fault] of Object.entries(FAULTS)) {
      test(`that ${what} lets nobody in, which is recorded, and is used again afterwards`, async () => {
        engine.set(fault)
        const forwarded = gateway.forwarded.length
        const refused = await gateway.get('alice', '/accounts/1')
        const problem = (await refused.json()) as { readonly code: string; readonly decisionId: string }
        assert.deepEqual([refused.status, problem.code], [503, 'engine_unavailable'])
        assert.equal(refused.headers.get('retry-after'), '5')
        const { id, code, decision, source, detail } = lastRecord(gateway)
        assert.deepEqual([id, code], [problem.decisionId, 'engine_unavailable'])
        assert.deepEqual([decision, source], ['deny', 'decide'])
        assert.match(String(detail), /^engine main: /)
        assert.equal(gateway.forwarded.length, forwarded)
        engine.set(fine)
        assert.equal((await gateway.get('alice', '/accounts/1')).status, 200)
        assert.ok(!engine.asked.some((path) => path.startsWith('/elsewhere')))
      })
    }

    test('that keeps failing is not asked any more, and is used again by itself', async () => {
      engine.set(FAULTS['answers 500'] ?? fine)
      for (let count = 0; count < 6; count += 1) await gateway.get('alice', '/accounts/1')
      const asked = engine.asked.length
      assert.equal((await gateway.get('alice', '/accounts/1')).status, 503)
      assert.equal(engine.asked.length, asked)
      assert.match(String(lastRecord(gateway).detail), /not asked/)
      assert.match(await gateway.metrics(), /sallyport_engine_breaker_open\{engine="main"\} 1/)
      engine.set(fine)
      await eventually('the engine is asked again', async () => {
        return (await gateway.get('alice', '/accounts/1')).status === 200
      })
      assert.match(await gateway.metrics(), /sallyport_engine_breaker_open\{engine="main"\} 0/)
    })

    for (const status of [400, 422]) {
      test(`that answers ${status}, which a caller may have caused, is asked on`, async () => {
        engine.set((response) => response.writeHead(status).end('bad request'))
        for (let count = 0; count < 8; count += 1)
          assert.equal((await gateway.get('alice', '/accounts/1')).status, 503)
        engine.set(fine)
        assert.equal((await gateway.get('alice', '/accounts/1')).status, 200)
      })
    }
  })
}

const ALLOW = `package gateway.authz
allow := true
`

describe('an OPA server', { skip: withoutOpa }, () => {
  test('that is killed or frozen lets nobody in, and is used again when it is back', async (t) => {
    const first = await startOpa({ files: { 'policy.rego': ALLOW } })
    t.after(first.kill)
    const engines = `{ main: { type: opa, url: "${first.url}", path: gateway/authz/allow, timeout: 700ms, poll: 100ms } }`
    const gateway = await startAskedGateway({ engines })
    t.after(gateway.close)
    const status = async (): Promise<number> => (await gateway.get('alice', '/accounts/1')).status
    const isReachable = async (): Promise<unknown> => (await gateway.engineState('main')).reachable
    await eventually('the engine answers', async () => (await status()) === 200)
    assert.equal(await isReachable(), true)

    first.freeze()
    assert.equal(await status(), 503)
    assert.equal(lastRecord(gateway).code, 'engine_unavailable')
    assert.equal(await isReachable(), false)
    first.thaw()
    await eventually('the engine that was frozen answers', async () => (await status()) === 200)

    await first.kill()
    assert.equal(await status(), 503)
    await eventually('it is known', async () => (await isReachable()) === false)
    const forwarded = gateway.forwarded.length
    for (let count = 0; count < 8; count += 1) assert.equal(await status(), 503)
    assert.equal(gateway.forwarded.length, forwarded)
    const second = await startOpa({ files: { 'policy.rego': ALLOW }, port: first.port })
    t.after(second.kill)
    await eventually('the engine that was killed answers', async () => (await status()) === 200)
    assert.equal(await isReachable(), true)
  })
})
