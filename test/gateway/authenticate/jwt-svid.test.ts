import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { type Json, makeKey, startProvider, type TestKey } from '../../support/tokens.ts'
import { BAD, bearer, identityOf, NOW, outcomeOf, prepare, routeOf, stageOf, testClock } from './harness.ts'

const ID = 'spiffe://corp.example/ns/bank/sa/api'
const SVID = { sub: ID, aud: ['bank'], exp: NOW + 300 }
const ROUTE = routeOf('workloads')
const CONFIG = { type: 'jwt-svid', trustDomain: 'corp.example', audience: 'bank' }

let key: TestKey
let rsa: TestKey
let edwards: TestKey

before(async () => {
  key = await makeKey('k1')
  rsa = await makeKey('k2', 'PS256')
  edwards = await makeKey('k3', 'EdDSA')
})

const bundleOf = (keys: readonly TestKey[], use = 'jwt-svid', more: Json = {}): object => ({
  spiffe_sequence: 1,
  keys: keys.map(({ jwk: { alg: _alg, ...jwk } }) => ({ ...jwk, use, ...more })),
})

const stageWith = (config: object = {}, bundle: object = bundleOf([key, rsa, edwards])) =>
  stageOf(
    { workloads: { ...CONFIG, bundleFile: 'bundle.json', ...config } },
    { files: { 'bundle.json': bundle } },
  )

const present = async (claims: Json, header: Json = {}, by = key, bundle?: object): Promise<string> =>
  outcomeOf(
    await stageWith({}, bundle).authenticate(bearer(await by.sign({ ...SVID, ...claims }, header)), ROUTE),
  )

describe('a JWT-SVID', () => {
  test('is a workload by its SPIFFE ID', async () => {
    for (const typ of ['JWT', 'JOSE', undefined]) assert.equal(await present({}, { typ }), `Workload ${ID}`)
    assert.equal(await present({}, {}, rsa), `Workload ${ID}`)
    const identity = identityOf(await stageWith().authenticate(bearer(await key.sign(SVID)), ROUTE))
    assert.equal(identity.credential.type, 'jwt-svid')
    assert.equal(identity.credential.expiresAt, NOW + 300)
  })

  const bad: Readonly<Record<string, readonly [Json, Json?]>> = {
    'of another trust domain': [{ sub: 'spiffe://other.example/api' }],
    'of a whole trust domain': [{ sub: 'spiffe://corp.example' }],
    'whose sub is no SPIFFE ID': [{ sub: 'alice' }],
    'for another audience': [{ aud: ['shop'] }],
    'for no audience': [{ aud: undefined }],
    'without an end': [{ exp: undefined }],
    'that has ended': [{ exp: NOW - 5 }],
    'with an issuer that is not configured': [{ iss: 'https://other.example' }],
    'that is bound to a key': [{ cnf: { jkt: 'A'.repeat(43) } }],
    'of another typ': [{}, { typ: 'at+jwt' }],
    'with a member of the header that SVIDs have not': [{}, { cty: 'JWT' }],
    'with a key of its own': [{}, { jku: 'https://evil.example' }],
    'without a kid': [{}, { kid: undefined }],
    'with another kid': [{}, { kid: 'K1' }],
  }
  for (const [what, [claims, header]] of Object.entries(bad)) {
    test(`${what}: refused`, async () => assert.equal(await present(claims, header), BAD))
  }

  test('by an algorithm that is not for SVIDs is refused', async () => {
    assert.equal(await present({}, {}, edwards), BAD)
  })

  test('is verified by keys for JWT-SVIDs alone', async () => {
    for (const use of ['x509-svid', 'sig', 'JWT-SVID']) {
      assert.equal(await present({}, {}, key, bundleOf([key], use)), BAD, use)
    }
    assert.equal(await present({}, {}, key, bundleOf([key], 'jwt-svid', { kid: undefined })), BAD)
    assert.equal(await present({}, {}, key, { keys: [] }), BAD)
  })

  test('may have an issuer that is configured, and then must', async () => {
    const { authenticate } = stageWith({ issuer: 'https://spire.example' })
    const good = await key.sign({ ...SVID, iss: 'https://spire.example' })
    assert.equal(outcomeOf(await authenticate(bearer(good), ROUTE)), `Workload ${ID}`)
    assert.equal(outcomeOf(await authenticate(bearer(await key.sign(SVID)), ROUTE)), BAD)
  })
})

describe('the bundle', () => {
  test('comes from its endpoint, and a key that leaves it takes its tokens with it', async (t) => {
    const clock = testClock()
    const provider = await startProvider()
    const publish = (bundle: object): void =>
      provider.misbehave((response) =>
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(bundle)),
      )
    publish(bundleOf([key]))
    const stage = stageOf(
      {
        workloads: { ...CONFIG, bundleUrl: provider.jwksUri, refresh: '1m', cooldown: '1s', timeout: '10s' },
      },
      { clock },
    )
    t.after(async () => {
      stage.close()
      await provider.close()
    })
    const token = await key.sign(SVID)
    assert.equal(outcomeOf(await stage.authenticate(bearer(token), ROUTE)), `Workload ${ID}`)
    publish({ keys: [] })
    // At twice its age nobody is served by the old one.
    clock.advance(120_000)
    assert.equal(outcomeOf(await stage.authenticate(bearer(token), ROUTE)), BAD)
  })

  test('is told at load when it is none, or not to be fetched safely', () => {
    const problems = (config: object, bundle: unknown = bundleOf([key])) =>
      prepare('workloads', { ...CONFIG, ...config }, { files: { b: bundle } }).problems.map(
        ({ path, severity }) => [path.join('.'), severity],
      )
    assert.deepEqual(problems({ bundleFile: 'b' }), [])
    assert.deepEqual(problems({ bundleFile: 'b' }, { keys: [] }), [['bundleFile', 'warning']])
    assert.deepEqual(problems({ bundleFile: 'b' }, '{"keys":[],"keys":[]}'), [['bundleFile', undefined]])
    assert.deepEqual(problems({ bundleFile: 'b' }, []), [['bundleFile', undefined]])
    assert.deepEqual(problems({}), [['', undefined]])
    assert.deepEqual(problems({ bundleUrl: 'http://spire.example/' }), [['bundleUrl', undefined]])
  })
})
