import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { type DpopKey, makeDpopKey } from '../support/dpop.ts'
import { withoutRedis } from '../support/redis-server.ts'
import { HOST } from './city.ts'
import { type Replica, startWorld, until, type World } from './shared-world.ts'

interface Bound extends World {
  /** Header lines of a request with a new proof. */
  readonly prove: () => Promise<readonly string[]>
}

const nowSeconds = (): number => Math.floor(Date.now() / 1000)

const startBound = async (t: TestContext): Promise<Bound> => {
  const world = await startWorld(t, 2)
  const holder: DpopKey = await makeDpopKey()
  const token = await world.city.staffKey.sign({
    iss: 'https://idp.test',
    aud: 'city',
    sub: 'alice',
    iat: nowSeconds(),
    exp: nowSeconds() + 3600,
    cnf: { jkt: holder.jkt },
  })
  const uri = `http://${HOST}/accounts/1`
  return {
    ...world,
    prove: async () => {
      const proof = await holder.prove(nowSeconds(), { token, uri })
      return [`Authorization: DPoP ${token}`, `DPoP: ${proof}`]
    },
  }
}

const codesOf = ({ gateway }: Replica): readonly string[] => gateway.records().map(({ code }) => code)

describe('gateways that share a Redis', { skip: withoutRedis, timeout: 60_000 }, () => {
  test('refuse a proof that another one took', async (t) => {
    const { replicas, prove, redis } = await startBound(t)
    const [a, b] = replicas
    assert.ok(a !== undefined && b !== undefined)
    const proof = await prove()
    assert.equal(await a.request('/accounts/1', proof), 200)
    assert.equal(await b.request('/accounts/1', proof), 401)
    assert.equal(await b.request('/accounts/1', await prove()), 200)
    const [key = ''] = await redis.admin.keys('sallyport:1:u:dpop:*')
    const leftMs = await redis.admin.pttl(key)
    assert.ok(leftMs > 0 && leftMs <= 200_000, `it is remembered for ${leftMs} ms`)
  })

  test('take one of many that come with the same proof at once', async (t) => {
    const { replicas, prove } = await startBound(t)
    const proof = await prove()
    const all = [...replicas, ...replicas, ...replicas, ...replicas]
    const statuses = await Promise.all(all.map((replica) => replica.request('/accounts/1', proof)))
    assert.equal(statuses.filter((status) => status === 200).length, 1)
    assert.equal(statuses.filter((status) => status === 401).length, all.length - 1)
  })

  test('refuse proofs as long as nobody can tell whether they were used, and nobody else', async (t) => {
    const { replicas, prove, redis } = await startBound(t)
    const [a] = replicas
    assert.ok(a !== undefined)
    assert.equal(await a.request('/accounts/1', await prove()), 200)
    redis.freeze()
    assert.equal(await a.request('/accounts/1', await prove()), 503)
    assert.equal(codesOf(a).at(-1), 'authenticator_unavailable')
    assert.equal(await a.visit(), 200)
    redis.thaw()
    await redis.kill()
    assert.equal(await a.request('/accounts/1', await prove()), 503)
    await redis.restart()
    await until(async () => (await a.request('/accounts/1', await prove())) === 200)
  })
})
