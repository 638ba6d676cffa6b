import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { withoutRedis } from '../support/redis-server.ts'
import { HOST } from './city.ts'
import { type Replica, startWorld, until } from './shared-world.ts'

const ROUTES = `defaults: { host: ${HOST}, upstream: core, engine: city, authenticate: [staff] }
routes:
  - name: account
    match: GET /accounts/{id}
    evaluation:
      action: read
      resource: { type: Account, id: $path.id }
      context: { device: "$request.headers['x-device']" }
    grant: { ttl: 1m, bindTo: [context.device] }
`

describe('gateways that share a Redis', { skip: withoutRedis, timeout: 60_000 }, () => {
  test('end what one of them gave to one device when another sees a second one, and the other way round', async (t) => {
    const { replicas, city } = await startWorld(t, 2, { files: { 'config/routes/city.yaml': ROUTES } })
    const [a, b] = replicas
    assert.ok(a !== undefined && b !== undefined)
    const visit = async (at: Replica, device: string, sub = 'alice'): Promise<string | undefined> => {
      const token = city.credentials.tokens.get(sub)
      const headers = [`Authorization: Bearer ${token}`, `X-Device: ${device}`]
      assert.equal(await at.request('/accounts/1', headers), 200)
      return at.gateway.records().findLast(({ route }) => route === 'account')?.source
    }
    /** The grant of this device has ended there, by what the other gateway saw. */
    const ended = (at: Replica): Promise<void> =>
      until(async () => {
        const { text } = await at.ask('/v1/grants?subject=User::alice')
        return !text.includes('"source":"grant"')
      })
    assert.equal(await visit(a, 'laptop'), 'engine')
    assert.equal(await visit(a, 'laptop', 'carol'), 'engine')
    assert.equal(await visit(a, 'laptop'), 'grant')
    await visit(b, 'phone')
    await ended(a)
    assert.equal(await visit(a, 'laptop'), 'engine')
    assert.equal(await visit(a, 'laptop', 'carol'), 'grant')
    // The first one came back: now the second one has ended.
    await ended(b)
    assert.equal(await visit(b, 'phone'), 'engine')
    await ended(a)
    assert.equal(await visit(a, 'laptop'), 'engine')
  })
})
