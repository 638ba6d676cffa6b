import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { before, describe, test } from 'node:test'
import { type Json, jwksOf, makeKey, type TestKey } from '../../support/tokens.ts'
import { BAD, bearer, CLAIMS, outcomeOf, prepare, routeOf, STAFF, stageOf } from './harness.ts'

let key: TestKey
let rsa: TestKey
before(async () => {
  ;[key, rsa] = await Promise.all([makeKey('k1'), makeKey('r1', 'RS256')])
})

const problemsOf = (config: object, jwks: unknown = jwksOf(key)) =>
  prepare('staff', { ...STAFF, ...config }, { files: { 'jwks.json': jwks } }).problems.map(
    ({ path, message }) => `${path.join('.')}: ${message}`,
  )

const SECRET = { env: 'a secret of at least 32 bytes, really' }
const withoutFile = { jwksFile: undefined }

describe('mistakes in the entry', () => {
  const table: Readonly<Record<string, readonly [object, RegExp]>> = {
    'two sources of keys': [
      { jwksUri: 'https://idp.example.com/jwks' },
      /^jwksUri: "jwksUri" beside "jwksFile"/,
    ],
    'a secret beside public keys': [{ secret: SECRET }, /^secret: "secret" beside "jwksFile"/],
    'discovery without an address': [
      { ...withoutFile, issuer: 'me' },
      /^issuer: keys cannot be fetched .*not a URL/,
    ],
    'discovery over another protocol': [
      { ...withoutFile, issuer: 'ftp://x' },
      /^issuer: .*neither https nor http/,
    ],
    'a symmetric algorithm with public keys': [
      { algorithms: ['RS256', 'ES256', 'HS256'] },
      /^algorithms.2: HS256 needs a "secret"/,
    ],
    'an asymmetric algorithm with a secret': [
      { ...withoutFile, secret: SECRET, algorithms: ['RS256'] },
      /^algorithms.0: RS256 needs a public key/,
    ],
    'a secret that is too short': [
      { ...withoutFile, secret: { env: 'x'.repeat(31) } },
      /^secret: .*32 bytes/,
    ],
    'a secret that is too short for one of the algorithms': [
      { ...withoutFile, secret: { env: 'x'.repeat(32) }, algorithms: ['HS256', 'HS512'] },
      /^secret: .*64 bytes, which HS512 needs/,
    ],
    'two carriers': [{ header: 'X-Token', cookie: 't' }, /^cookie: "cookie" beside "header"/],
    'a header with another meaning': [
      { header: 'Authorization' },
      /^header: Authorization has another meaning/,
    ],
    'the header of the cookies': [{ header: 'cookie' }, /^header: cookie has another meaning/],
    'a header of the gateway': [{ header: 'Sallyport-Token' }, /^header: .*another meaning/],
    'a header of proxies': [{ header: 'X-Forwarded-User' }, /^header: .*another meaning/],
    'times of a provider without one': [
      { maxStale: '1h' },
      /^maxStale: "maxStale" has no effect with "jwksFile"/,
    ],
    'a file that is not there': [{ jwksFile: 'other.json' }, /^jwksFile: no such file/],
    'algorithms that no key serves': [{ algorithms: ['EdDSA'] }, /^jwksFile: .*no key in it serves/],
  }
  for (const [what, [config, message]] of Object.entries(table)) {
    test(`${what}: reported once, at its place`, () => {
      const found = problemsOf(config)
      assert.equal(found.length, 1, found.join('\n'))
      assert.match(found[0] ?? '', message)
      assert.doesNotMatch(found[0] ?? '', /really|xxx/)
    })
  }

  test('what the schema does not take: no issuer, alg none, an empty audience, unknown keys', () => {
    const bad: readonly Json[] = [
      { issuer: undefined },
      { issuer: '' },
      { algorithms: ['none'] },
      { algorithms: [] },
      { audience: [] },
      { audience: '' },
      { typ: 'JWT' },
      { header: 'X_Token' },
      { cookie: 'a b' },
      { prefix: '' },
      { subject: { kind: 'x' } },
      { jwks: {} },
    ]
    for (const config of bad) assert.throws(() => problemsOf(config), JSON.stringify(config))
  })

  test('a right entry has none', () => {
    assert.deepEqual(problemsOf({}), [])
    assert.deepEqual(
      problemsOf({ ...withoutFile, jwksUri: 'https://idp.example.com/jwks', timeout: '1s' }),
      [],
    )
    assert.deepEqual(problemsOf(withoutFile), [])
    assert.deepEqual(problemsOf({ ...withoutFile, secret: SECRET }), [])
  })
})

describe('a key set', () => {
  const sets: Readonly<Record<string, readonly [() => unknown, RegExp]>> = {
    'not JSON': [() => 'keys: []', /not a JSON object with a list of "keys"/],
    'a list': [() => [key.jwk], /not a JSON object with a list/],
    'a single key': [() => key.jwk, /not a JSON object with a list/],
    'an object of keys': [() => ({ keys: { k1: key.jwk } }), /not a JSON object with a list/],
    empty: [() => ({ keys: [] }), /no usable key$/],
    'keys for encryption only': [() => ({ keys: [{ ...rsa.jwk, use: 'enc' }] }), /no usable key$/],
    'keys that sign only': [() => ({ keys: [{ ...key.jwk, key_ops: ['sign'] }] }), /no usable key$/],
    'a key without its point': [
      () => ({ keys: [{ ...key.jwk, x: undefined }] }),
      /no usable key; key 1: its member x is not a string/,
    ],
    'a point that is not on the curve': [
      () => ({ keys: [{ ...key.jwk, x: key.jwk.y }] }),
      /key 1: its members do not make a public key/,
    ],
    'a curve that nobody signs with': [() => ({ keys: [{ ...key.jwk, crv: 'P-192' }] }), /not supported/],
    'an alg that is not for the type': [() => ({ keys: [{ ...key.jwk, alg: 'RS256' }] }), /not supported/],
    'an alg that is not for signatures': [
      () => ({ keys: [{ ...rsa.jwk, alg: 'RSA-OAEP' }] }),
      /not supported/,
    ],
    'a shared secret': [() => ({ keys: [{ kty: 'oct', k: 'AAAA' }] }), /key 1: it is not a public key/],
    'a kid that is a number': [() => ({ keys: [{ ...key.jwk, kid: 1 }] }), /its kid is not a string/],
    'a short RSA key': [
      () => ({
        keys: [generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' })],
      }),
      /shorter than 2048 bits/,
    ],
    'an RSA exponent of one': [() => ({ keys: [{ ...rsa.jwk, e: 'AQ' }] }), /exponent|do not make/],
    'something else than keys': [() => ({ keys: [null, 1, 'x', []] }), /key 4: it is not an object/],
    'too many keys': [() => ({ keys: Array.from({ length: 201 }, () => key.jwk) }), /more than 200 keys/],
    'a private key beside a good one': [
      () => ({ keys: [key.jwk, { ...rsa.jwk, d: 'AAAA' }] }),
      /holds a private or symmetric key/,
    ],
  }
  for (const [what, [make, message]] of Object.entries(sets)) {
    test(`${what}: reported at jwksFile`, () => {
      const found = problemsOf({}, make())
      assert.equal(found.length, 1, found.join('\n'))
      assert.match(found[0] ?? '', /^jwksFile: the key set: /)
      assert.match(found[0] ?? '', message)
    })
  }

  const present = async (jwks: unknown, token: string) => {
    const { authenticate } = stageOf({ staff: STAFF }, { files: { 'jwks.json': jwks } })
    return outcomeOf(await authenticate(bearer(token), routeOf('staff')))
  }

  test('is used without its keys for encryption, and without those of types to come', async () => {
    const jwks = { keys: [{ ...rsa.jwk, use: 'enc', kid: 'k1' }, { kty: 'NEW', kid: 'k1' }, key.jwk] }
    assert.equal(await present(jwks, await key.sign(CLAIMS)), 'User alice')
    assert.equal(await present(jwks, await rsa.sign(CLAIMS)), BAD)
  })

  test('may start with a byte order mark, as an editor may have left it', async () => {
    assert.equal(await present(`\uFEFF${JSON.stringify(jwksOf(key))}`, await key.sign(CLAIMS)), 'User alice')
  })

  test('may have a key without a name, which is tried for any token', async () => {
    const jwks = { keys: [{ ...key.jwk, kid: undefined, alg: undefined, use: undefined }] }
    assert.equal(await present(jwks, await key.sign(CLAIMS)), 'User alice')
  })

  test('tries several keys of one name', async () => {
    const twin = await makeKey('k1')
    assert.equal(await present(jwksOf(twin, key), await key.sign(CLAIMS)), 'User alice')
    assert.equal(await present(jwksOf(twin, twin), await key.sign(CLAIMS)), BAD)
  })

  test('restricts a key to the algorithm that the key names', async () => {
    const pss = await makeKey('r1', 'PS256')
    assert.equal(await present({ keys: [{ ...pss.jwk, alg: 'RS256' }] }, await pss.sign(CLAIMS)), BAD)
    assert.equal(
      await present({ keys: [{ ...pss.jwk, alg: undefined }] }, await pss.sign(CLAIMS)),
      'User alice',
    )
  })
})
