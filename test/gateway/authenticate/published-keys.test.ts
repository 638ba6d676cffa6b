import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { createServer, type Socket } from 'node:net'
import { after, afterEach, before, describe, test } from 'node:test'
import type { Log } from '../../../src/core/log.ts'
import {
  MISBEHAVIOURS,
  makeKey,
  startProvider,
  type TestKey,
  type TestProvider,
} from '../../support/tokens.ts'
import {
  BAD,
  bearer,
  CLAIMS,
  NOW,
  outcomeOf,
  prepare,
  refusalOf,
  routeOf,
  type Stage,
  silentLog,
  stageOf,
  type TestClock,
  testClock,
} from './harness.ts'

const GOOD = 'User alice'
const DOWN = 'authenticator_unavailable'
const ROUTE = routeOf('staff')
const MINUTE = 60_000

let k1: TestKey
let k2: TestKey

before(async () => {
  ;[k1, k2] = await Promise.all([makeKey('k1'), makeKey('k2')])
})

/** Long enough that no test is about the token's own life. */
const claimsOf = (provider: TestProvider) => ({ ...CLAIMS, iss: provider.issuer, exp: NOW + 86_400 })

interface World {
  readonly provider: TestProvider
  readonly stage: Stage
  readonly clock: TestClock
  /** The outcome for a good token of this key. */
  readonly tryKey: (key: TestKey, header?: Readonly<Record<string, unknown>>) => Promise<string>
  /** Waits for the provider to have been asked so often for its keys. */
  readonly asked: (times: number) => Promise<void>
}

const worlds: World[] = []

const startWorld = async (
  source: 'jwksUri' | 'issuer',
  more: object = {},
  prepareProvider: (provider: TestProvider) => void = () => {},
  log: Log = silentLog,
): Promise<World> => {
  const provider = await startProvider(k1)
  prepareProvider(provider)
  const clock = testClock()
  const { issuer, jwksUri } = provider
  const config = { type: 'jwt', issuer, audience: 'bank', ...(source === 'jwksUri' ? { jwksUri } : {}) }
  const stage = stageOf({ staff: { ...config, ...more } }, { clock, log })
  const world: World = {
    provider,
    stage,
    clock,
    tryKey: async (key, header) => {
      const token = await key.sign({ ...claimsOf(provider), jti: String(Math.random()) }, header)
      return outcomeOf(await stage.authenticate(bearer(token), ROUTE))
    },
    asked: async (times) => {
      while (provider.fetches().jwks < times) await new Promise((resolve) => setImmediate(resolve))
    },
  }
  worlds.push(world)
  return world
}

afterEach(async () => {
  for (const { stage, provider } of worlds.splice(0)) {
    stage.close()
    await provider.close()
  }
})

describe('a key set of a provider', () => {
  test('is fetched once for all requests that wait, and then used', async () => {
    const { provider, tryKey } = await startWorld('jwksUri')
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => tryKey(k1)))
    assert.deepEqual([...new Set(outcomes)], [GOOD])
    assert.equal(await tryKey(k1), GOOD)
    assert.deepEqual(provider.fetches(), { jwks: 1, discovery: 0 })
  })

  test('is found by discovery', async () => {
    const { provider, tryKey } = await startWorld('issuer')
    assert.equal(await tryKey(k1), GOOD)
    assert.deepEqual(provider.fetches(), { jwks: 1, discovery: 1 })
  })

  test('is renewed in the background before it is old, and no request waits', async () => {
    const { provider, clock, tryKey, asked } = await startWorld('jwksUri')
    await tryKey(k1)
    clock.advance(5 * MINUTE - 1)
    await tryKey(k1)
    assert.equal(provider.fetches().jwks, 1)
    clock.advance(1)
    const release = provider.hold()
    assert.equal(await tryKey(k1), GOOD)
    await asked(2)
    release()
  })

  test('is waited for when nobody asked for long', async () => {
    const { provider, clock, tryKey } = await startWorld('jwksUri')
    await tryKey(k1)
    provider.publish(k2)
    clock.advance(10 * MINUTE)
    assert.equal(await tryKey(k1), BAD)
    assert.equal(await tryKey(k2), GOOD)
  })
})

describe('rotation of keys', () => {
  test('a new key is known at its first token', async () => {
    const { provider, tryKey } = await startWorld('jwksUri')
    assert.equal(await tryKey(k1), GOOD)
    provider.publish(k1, k2)
    assert.equal(await tryKey(k2), GOOD)
    assert.equal(await tryKey(k1), GOOD)
    assert.equal(provider.fetches().jwks, 2)
  })

  test('a new key is known also where tokens do not name their key', async () => {
    const { provider, tryKey } = await startWorld('jwksUri')
    assert.equal(await tryKey(k1, { kid: undefined }), GOOD)
    provider.publish(k2)
    assert.equal(await tryKey(k2, { kid: undefined }), GOOD)
    assert.equal(provider.fetches().jwks, 2)
  })

  test('a key that leaves takes its cached tokens with it, and a key that stays does not', async () => {
    const { provider, stage, clock, tryKey } = await startWorld('jwksUri')
    const k3 = await makeKey('k3')
    provider.publish(k1, k2)
    const [first, second] = await Promise.all([k1.sign(claimsOf(provider)), k2.sign(claimsOf(provider))])
    await stage.authenticate(bearer(first), ROUTE)
    await stage.authenticate(bearer(second), ROUTE)
    provider.publish(k2, k3)
    // The first fetch may have come before k2 was published: then k2 has had the fetch of this cooldown.
    clock.advance(30_000)
    assert.equal(await tryKey(k3), GOOD)
    assert.equal(outcomeOf(await stage.authenticate(bearer(first), ROUTE)), BAD)
    const kept = stage.authenticate(bearer(second), ROUTE)
    assert.equal(kept instanceof Promise, false)
    assert.equal(outcomeOf(await kept), GOOD)
  })

  test('another key under the same name takes the tokens of the old one away', async () => {
    const { provider, stage, clock } = await startWorld('jwksUri')
    const token = await k1.sign(claimsOf(provider))
    assert.equal(outcomeOf(await stage.authenticate(bearer(token), ROUTE)), GOOD)
    provider.publish(await makeKey('k1'))
    clock.advance(10 * MINUTE)
    assert.equal(outcomeOf(await stage.authenticate(bearer(token), ROUTE)), BAD)
  })

  test('a flood of unknown keys causes one fetch a cooldown, and known keys go on', async () => {
    const { provider, clock, tryKey } = await startWorld('jwksUri')
    assert.equal(await tryKey(k1), GOOD)
    const flood = async () => {
      const outcomes = await Promise.all(
        Array.from({ length: 50 }, (_, index) => tryKey(k2, { kid: `kid-${index}` })),
      )
      assert.deepEqual([...new Set(outcomes)], [BAD])
      for (let index = 0; index < 20; index += 1) await tryKey(k2, { kid: `more-${index}` })
    }
    await flood()
    assert.equal(provider.fetches().jwks, 2)
    clock.advance(30_000 - 1)
    await flood()
    assert.equal(provider.fetches().jwks, 2)
    clock.advance(1)
    await flood()
    assert.equal(provider.fetches().jwks, 3)
    assert.equal(await tryKey(k1), GOOD)
  })

  test('a flood on a gateway that has just started causes at most one fetch beside the first', async () => {
    const { provider, tryKey } = await startWorld('jwksUri')
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, index) => tryKey(k2, { kid: `kid-${index}` })),
    )
    assert.deepEqual([...new Set(outcomes)], [BAD])
    assert.ok(provider.fetches().jwks <= 2)
  })

  test('tokens that are bad by themselves cause no fetch', async () => {
    const { provider, stage, tryKey } = await startWorld('jwksUri')
    await tryKey(k1)
    const expired = await k2.sign({ ...claimsOf(provider), exp: NOW - 60 })
    assert.equal(outcomeOf(await stage.authenticate(bearer(expired), ROUTE)), BAD)
    assert.equal(provider.fetches().jwks, 1)
  })
})

describe('a provider that does not help', () => {
  for (const [what, answer] of Object.entries(MISBEHAVIOURS)) {
    test(`${what}: known keys stay good within maxStale, then the refusal is not about the token`, async () => {
      const { provider, clock, tryKey, asked } = await startWorld('jwksUri')
      assert.equal(await tryKey(k1), GOOD)
      provider.misbehave(answer)
      clock.advance(5 * MINUTE)
      assert.equal(await tryKey(k1), GOOD)
      await asked(2)
      clock.advance(55 * MINUTE - 1)
      assert.equal(await tryKey(k1), GOOD)
      clock.advance(1)
      assert.equal(await tryKey(k1), DOWN)
    })

    test(`${what} from the start: nothing is accepted, and nothing is called a bad token`, async () => {
      const { provider, clock, tryKey } = await startWorld('jwksUri', {}, ({ misbehave }) =>
        misbehave(answer),
      )
      assert.equal(await tryKey(k1), DOWN)
      assert.equal(await tryKey(k2, { kid: 'unknown' }), DOWN)
      provider.publish(k1)
      clock.advance(1000)
      assert.equal(await tryKey(k1), GOOD)
    })
  }

  test('a cached token too is good no longer than maxStale', async () => {
    const { provider, stage, clock, asked } = await startWorld('jwksUri', { maxStale: '10m' })
    const token = await k1.sign(claimsOf(provider))
    const present = () => stage.authenticate(bearer(token), ROUTE)
    assert.equal(outcomeOf(await present()), GOOD)
    provider.misbehave(MISBEHAVIOURS['answers 500'])
    clock.advance(6 * MINUTE)
    assert.equal(outcomeOf(await present()), GOOD)
    await asked(2)
    clock.advance(4 * MINUTE)
    assert.equal(outcomeOf(await present()), DOWN)
  })

  test('an unknown key is unavailable and not bad while nobody can tell', async () => {
    const { provider, tryKey } = await startWorld('jwksUri')
    assert.equal(await tryKey(k1), GOOD)
    provider.misbehave(MISBEHAVIOURS['answers 500'])
    assert.equal(await tryKey(k2), DOWN)
    assert.equal(await tryKey(k2), DOWN)
    assert.equal(await tryKey(k1), GOOD)
    assert.equal(provider.fetches().jwks, 2)
  })

  test('is asked again after 1 s, 2 s, 4 s …, and requests in between are answered at once', async () => {
    const { provider, clock, tryKey } = await startWorld('jwksUri', { cooldown: '3s' }, ({ misbehave }) =>
      misbehave(MISBEHAVIOURS['answers 500']),
    )
    const fetchesAfter = async (ms: number): Promise<number> => {
      clock.advance(ms)
      for (let index = 0; index < 5; index += 1) assert.equal(await tryKey(k1), DOWN)
      return provider.fetches().jwks
    }
    const counts = []
    for (const ms of [0, 999, 1, 1999, 1, 2999, 1, 2999, 1]) counts.push(await fetchesAfter(ms))
    assert.deepEqual(counts, [1, 1, 2, 2, 3, 3, 4, 4, 5])
  })

  test('that never answers is given up after the timeout', async () => {
    const { provider, tryKey } = await startWorld('jwksUri', { timeout: '50ms' }, ({ hold }) => hold())
    assert.equal(await tryKey(k1), DOWN)
    assert.equal(provider.fetches().jwks, 1)
  })

  test('the reason is told to operators only', async () => {
    const warnings: object[] = []
    const log = { ...silentLog, warn: (fields: object) => warnings.push(fields) }
    const { provider, stage } = await startWorld(
      'jwksUri',
      {},
      ({ misbehave }) => misbehave(MISBEHAVIOURS['answers 500']),
      log,
    )
    const refusal = refusalOf(await stage.authenticate(bearer(await k1.sign(claimsOf(provider))), ROUTE))
    assert.match(refusal.detail, /staff: .*\/jwks answered 500 \(no keys were ever had\)/)
    assert.equal(refusal.publicDetail, undefined)
    assert.equal(refusal.headers, undefined)
    assert.deepEqual(warnings, [
      { authenticator: 'staff', failure: `${provider.jwksUri} answered 500`, failures: 1 },
    ])
  })
})

describe('discovery', () => {
  const metadata: Readonly<Record<string, (provider: TestProvider) => Readonly<Record<string, unknown>>>> = {
    'metadata of another issuer': ({ jwksUri }) => ({ issuer: 'https://evil.example', jwks_uri: jwksUri }),
    'an issuer with a slash too many': ({ issuer, jwksUri }) => ({ issuer: `${issuer}/`, jwks_uri: jwksUri }),
    'no issuer': ({ jwksUri }) => ({ jwks_uri: jwksUri }),
    'no jwks_uri': ({ issuer }) => ({ issuer }),
    'a jwks_uri over plain http elsewhere': ({ issuer }) => ({
      issuer,
      jwks_uri: 'http://idp.example.com/jwks',
    }),
    'a jwks_uri that is a file': ({ issuer }) => ({ issuer, jwks_uri: 'file:///etc/passwd' }),
    'a jwks_uri that is no URL': ({ issuer }) => ({ issuer, jwks_uri: '/jwks' }),
    'a jwks_uri in a list': ({ issuer, jwksUri }) => ({ issuer, jwks_uri: [jwksUri] }),
  }
  for (const [what, make] of Object.entries(metadata)) {
    test(`${what}: no keys are taken`, async () => {
      const { provider, tryKey } = await startWorld('issuer', {}, (each) => each.publishMetadata(make(each)))
      assert.equal(await tryKey(k1), DOWN)
      assert.equal(provider.fetches().jwks, 0)
    })
  }

  test('is not repeated for an unknown key, but is when the keys are renewed', async () => {
    const { provider, clock, tryKey } = await startWorld('issuer')
    await tryKey(k1)
    provider.publish(k1, k2)
    assert.equal(await tryKey(k2), GOOD)
    assert.deepEqual(provider.fetches(), { jwks: 2, discovery: 1 })
    clock.advance(10 * MINUTE)
    assert.equal(await tryKey(k2), GOOD)
    assert.deepEqual(provider.fetches(), { jwks: 3, discovery: 2 })
  })
})

describe('an address that swallows connections', () => {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => sockets.add(socket))
  before(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)))
  after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })

  test('is given up after the timeout', async () => {
    // An address object is certain here: the server listens on TCP.
    const { port } = server.address() as AddressInfo
    const jwksUri = `http://127.0.0.1:${port}/jwks`
    const config = { type: 'jwt', issuer: CLAIMS.iss, audience: 'bank', jwksUri, timeout: '50ms' }
    const { authenticate, close } = stageOf({ staff: config })
    const refusal = refusalOf(await authenticate(bearer(await k1.sign(CLAIMS)), ROUTE))
    assert.equal(refusal.refusal, DOWN)
    assert.match(refusal.detail, /did not answer in 50 ms/)
    close()
  })
})

describe('plain http', () => {
  const problemsOf = (config: object) =>
    prepare('staff', { type: 'jwt', audience: 'bank', ...config }).problems.map(({ path, message }) => [
      path.join('.'),
      message,
    ])

  test('is allowed to this machine and, when it says insecure, to others', () => {
    for (const host of ['127.0.0.1', '127.9.9.9:8080', 'localhost:1', '[::1]:1']) {
      assert.deepEqual(problemsOf({ issuer: 'x', jwksUri: `http://${host}/jwks` }), [])
    }
    assert.deepEqual(problemsOf({ issuer: 'x', jwksUri: 'http://idp.example.com/jwks', insecure: true }), [])
  })

  test('is otherwise reported at its place', () => {
    const message = 'keys cannot be fetched from it: it is plain http to another machine; '
    for (const host of [
      'idp.example.com',
      '127.0.0.1.example.com',
      'localhost.example.com',
      '10.0.0.1',
      '[::2]',
    ]) {
      assert.deepEqual(problemsOf({ issuer: 'x', jwksUri: `http://${host}/jwks` }), [
        ['jwksUri', `${message}use https, or say "insecure: true"`],
      ])
      assert.deepEqual(
        problemsOf({ issuer: `http://${host}` }).map(([path]) => path),
        ['issuer'],
      )
    }
  })
})
