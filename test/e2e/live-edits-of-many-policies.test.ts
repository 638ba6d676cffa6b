import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type HttpBackend, startHttpBackend } from '../support/backend.ts'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'
import { openRaw } from '../support/raw-http.ts'
import { get, policy, replace, world } from './live-world.ts'

/** So many that reading them takes some tenths of a second at least. */
const MANY = 600

const manyPolicies = (...things: readonly string[]): string => {
  const others = Array.from({ length: MANY }, (_, at) => {
    return `@id("more-${at}") permit (principal == Program::"p${at}", action == Action::"read", resource) when { context.level > ${at} };`
  })
  return [policy(...things), ...others].join('\n')
}

describe('an edit of thousands of policies', () => {
  let backend: HttpBackend
  let gateway: TestGateway
  before(async () => {
    backend = await startHttpBackend((_request, response) => response.end('ok'))
    gateway = await startTestGateway({
      ...world(backend.url),
      'policies/main.cedar': manyPolicies('one', 'two'),
    })
  })
  after(async () => {
    await gateway.close()
    await backend.close()
  })

  test('lets requests be answered until it is taken up, by what decided before', async () => {
    const connection = await openRaw(gateway.port)
    const ask = async (thing: string): Promise<number> => {
      connection.send(get(`/things/${thing}`))
      return (await connection.response()).status
    }
    assert.equal(await ask('one'), 200)
    const { version } = gateway.gateway.configStatus()
    replace(gateway, 'policies/main.cedar', manyPolicies('two'))
    let ended = false
    const reload = gateway.gateway.reload().then((outcome) => {
      ended = true
      return outcome
    })
    const before = gateway.records().length
    let answered = 0
    while (!ended) {
      // By a grant, and by the engine.
      const statuses = [await ask('one'), await ask('two'), await ask(`no-${answered}`)]
      if (!ended) {
        assert.deepEqual(statuses, [200, 200, 403])
        answered += statuses.length
      }
    }
    assert.equal((await reload).outcome, 'applied')
    connection.destroy()
    assert.ok(answered >= 15, `only ${answered} requests were answered meanwhile`)
    const meanwhile = gateway.records().slice(before, before + answered)
    assert.deepEqual([...new Set(meanwhile.map(({ configVersion }) => configVersion))], [version])
    const afterwards = await openRaw(gateway.port)
    afterwards.send(get('/things/one'))
    assert.equal((await afterwards.response()).status, 403)
    afterwards.destroy()
  })

  test('tells a mistake among them at its place, and changes nothing', async () => {
    const { version } = gateway.gateway.configStatus()
    replace(
      gateway,
      'policies/main.cedar',
      `${manyPolicies('one')}\n\n  permit (principal, action resource);`,
    )
    const { outcome, findings } = await gateway.gateway.reload()
    assert.equal(outcome, 'rejected')
    assert.deepEqual(
      findings.map(({ rule, line, column }) => [rule, line, column]),
      [['cedar-parse', MANY + 3, 29]],
    )
    assert.equal(gateway.gateway.configStatus().version, version)
  })

  test('is given up when the gateway is closed meanwhile', async () => {
    replace(gateway, 'policies/main.cedar', manyPolicies('two', 'three'))
    const reload = gateway.gateway.reload()
    await gateway.close()
    assert.equal((await reload).outcome, 'unchanged')
  })
})
