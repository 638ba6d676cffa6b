import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rawRequest } from '../support/raw-http.ts'
import { startRedis, withoutRedis } from '../support/redis-server.ts'
import { get } from './live-world.ts'
import { startWorkers, until } from './workers-world.ts'

const OPTIONS = { skip: withoutRedis, timeout: 60_000 }

test(
  'workers with a Redis find each other’s grants, list each once, and all apply a mark',
  OPTIONS,
  async (t) => {
    const redis = await startRedis()
    t.after(redis.close)
    const { gateway, ask, statuses, records } = await startWorkers(t, 2, {
      grants: `{ store: "${redis.url}", ttl: 60s, redis: { commandTimeout: 2s } }`,
      more: 'revocation: { maxStale: 3s }',
    })
    await until(
      () => ask('/readyz'),
      ({ status }) => status === 200,
    )
    assert.equal((await rawRequest(gateway.port, get('/things/one'))).status, 200)
    await until(
      () => redis.admin.keys('sallyport:1:g:*'),
      (keys) => keys.length === 1,
    )
    assert.deepEqual([...(await statuses('/things/one'))], [200])
    const sources = records().map((each) => each.map(({ source }) => source))
    assert.deepEqual(sources.map((each) => each[0]).sort(), ['engine', 'grant-shared'])
    const { json } = await ask('/v1/grants?resource=Thing::one')
    const listed = json?.grants as readonly Readonly<Record<string, unknown>>[]
    assert.deepEqual(
      [listed.map(({ source }) => source), json?.total, json?.shared],
      [['grant'], 1, 'listed'],
    )
    const revoked = await ask('/v1/revocations', {
      method: 'POST',
      body: JSON.stringify({ all: true, effect: 'credentials', reason: 'why' }),
      headers: { authorization: 'Bearer the-token-of-this-test', 'content-type': 'application/json' },
    })
    assert.deepEqual(revoked.json?.replicas, { known: 2, applied: 2 }, revoked.text)
    assert.deepEqual([...(await statuses('/things/one'))], [401])
  },
)
