import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { makeDpopKey } from '../support/dpop.ts'
import { type RedisRelay, startRelay } from '../support/redis-relay.ts'
import { withoutRedis } from '../support/redis-server.ts'
import { HOST } from './city.ts'
import { startWorld, until } from './shared-world.ts'

const ROUTES = `defaults: { host: ${HOST}, upstream: core, engine: city, authenticate: [staff] }
routes:
  - name: account
    match: GET /accounts/{id}
    evaluation: { action: read, resource: { type: Account, id: $path.id } }
`

/** Two answers come in time, and three do not. */
const DEADLINE_MS = 1_250
const DELAY_MS = 500

const nowSeconds = (): number => Math.floor(Date.now() / 1000)

describe('gateways that share a slow Redis', { skip: withoutRedis, timeout: 60_000 }, () => {
  test('let no request wait for it longer than its deadline, however much it asks', async (t) => {
    const relays: RedisRelay[] = []
    const { replicas, city } = await startWorld(t, 2, {
      redis: `{ commandTimeout: ${DEADLINE_MS}ms }`,
      files: { 'config/routes/city.yaml': ROUTES },
      store: async ({ port, url }, index) => {
        if (index > 0) return url
        const relay = await startRelay(t, port)
        relays.push(relay)
        return relay.url
      },
    })
    const [a, b] = replicas
    const [relay] = relays
    assert.ok(a !== undefined && b !== undefined && relay !== undefined)
    const holder = await makeDpopKey()
    const token = await city.staffKey.sign({
      ...{ iss: 'https://idp.test', aud: 'city', sub: 'alice' },
      ...{ iat: nowSeconds(), exp: nowSeconds() + 3600, cnf: { jkt: holder.jkt } },
    })
    const ask = async (at: typeof a, path: string, task: string): Promise<number> => {
      const proof = await holder.prove(nowSeconds(), { token, uri: `http://${HOST}${path}` })
      const lines = [`Authorization: DPoP ${token}`, `DPoP: ${proof}`, `Sallyport-Task: ${task}`]
      return at.request(path, lines)
    }
    let number = 0
    /** One by one: whether a proof was used, whose a task is that began elsewhere, and a grant that was made there. */
    const askForAll = async (): Promise<string | undefined> => {
      number += 1
      assert.equal(await ask(b, `/accounts/${number}`, `t${number}`), 200)
      const status = await ask(a, `/accounts/${number}`, `t${number}`)
      return status === 200 ? a.sources().at(-1) : undefined
    }
    await until(async () => (await askForAll()) === 'grant-shared')
    relay.delay(DELAY_MS)
    // On a busy machine not even two may come in time, which refuses.
    let source: string | undefined
    await until(async () => {
      source = await askForAll()
      return source !== undefined
    })
    assert.equal(source, 'engine')
    // The same grant is found by whoever asks for one less.
    await until(async () => {
      const task = `t${number}`
      number += 1
      assert.equal(await ask(b, `/accounts/${number}`, task), 200)
      return (await ask(a, `/accounts/${number}`, task)) === 200 && a.sources().at(-1) === 'grant-shared'
    })
  })
})
