import assert from 'node:assert/strict'
import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { calculateJwkThumbprint, createLocalJWKSet, decodeJwt, jwtVerify } from 'jose'
import type { Clock } from '../../../src/core/clock.ts'
import type { Decision } from '../../../src/core/decision.ts'
import { createDeparture } from '../../../src/core/departure.ts'
import type { Exchange } from '../../../src/core/exchange.ts'
import type { Problem } from '../../../src/core/problem.ts'
import { createAssertion } from '../../../src/gateway/enforce/assertion.ts'
import { type AssertionSettings, prepareAssertion } from '../../../src/gateway/enforce/assertion-key.ts'
import { ALICE, ALLOW, exchangeRaw, type PassageChanges, passageOf, startGateway } from './harness.ts'

const START_MS = 1_800_000_000_250

const prepare = (content: string | null, keyFile = '/keys/a.jwk') => {
  const problems: Problem[] = []
  const make = prepareAssertion(
    { ttl: 60_000, issuer: 'sallyport', ...(content === null ? {} : { keyFile }) },
    { readFile: () => Buffer.from(content ?? ''), report: (problem) => problems.push(problem) },
  )
  return { make, problems }
}

const settings: AssertionSettings = prepare(null).make()

const movable = () => {
  let nowMs = START_MS
  const clock: Clock = { nowMs: () => nowMs, monotonicUs: () => nowMs * 1000 }
  return { clock, pass: (ms: number) => (nowMs += ms) }
}

const exchange: Exchange = {
  head: {
    method: 'GET',
    target: '/',
    httpVersion: '1.1',
    headers: ['Host', 'a'],
    remoteAddress: '',
    listener: '',
    tls: false,
  },
  body: Readable.from([]),
  reply: {
    headSent: () => false,
    informational: () => undefined,
    head: () => undefined,
    write: () => true,
    onDrain: () => undefined,
    trailers: () => undefined,
    end: () => undefined,
    abort: () => undefined,
  },
  ...createDeparture(),
}

const passage = (changes: PassageChanges = {}) => passageOf(exchange, changes)
const granted = (expiresAtMs: number, id = 'g1'): Decision => ({
  ...ALLOW,
  source: 'grant',
  grant: { id, expiresAtMs },
})

describe('an assertion', () => {
  it('verifies by the published keys, and says what was allowed to whom', async () => {
    const { clock } = movable()
    const assertion = createAssertion(settings, clock)
    const token = assertion.of(passage({ decision: granted(START_MS + 15_000) })) ?? ''
    const keys = createLocalJWKSet(JSON.parse(assertion.jwks))
    const { payload, protectedHeader } = await jwtVerify(token, keys, {
      issuer: 'sallyport',
      audience: 'core',
      currentDate: new Date(START_MS),
    })
    assert.deepEqual(protectedHeader, { alg: 'ES256', typ: 'JWT', kid: settings.key.kid })
    const { jti, ...claims } = payload
    assert.match(String(jti), /^[0-9a-f-]{36}$/)
    assert.deepEqual(claims, {
      iss: 'sallyport',
      aud: 'core',
      sub: 'alice',
      subject_type: 'User',
      iat: 1_800_000_000,
      exp: 1_800_000_015,
      action: { name: 'read' },
      resource: { type: 'Account', id: '42' },
      route: 'read-account',
      policy: 'sha256:p',
      grant: 'g1',
    })
  })

  it('lists the questions of a batch', () => {
    const { clock } = movable()
    const question = (id: string) => ({
      subject: ALICE.subject,
      action: { name: 'transfer' },
      resource: { type: 'Account', id, properties: { side: 'debit' } },
      context: { pin: 'secret' },
    })
    const bound = { batch: true, accessRequests: [question('1'), question('2')] }
    const claims = decodeJwt(createAssertion(settings, clock).of(passage({ bound })) ?? '')
    assert.deepEqual(claims.evaluations, [
      { action: { name: 'transfer' }, resource: { type: 'Account', id: '1' } },
      { action: { name: 'transfer' }, resource: { type: 'Account', id: '2' } },
    ])
    assert.equal(claims.action, undefined)
    assert.doesNotMatch(JSON.stringify(claims), /secret|debit/)
  })

  for (const [name, changes] of [
    ['a public route', { identity: null, decision: { ...ALLOW, source: 'route' } }],
    ['a public route with a verified caller', { decision: { ...ALLOW, source: 'route' } }],
    ['what would have been denied', { decision: { ...ALLOW, decision: 'deny' } }],
  ] as const) {
    it(`is not made for ${name}`, () => {
      assert.equal(createAssertion(settings, movable().clock).of(passage(changes)), null)
    })
  }
})

describe('the life of an assertion', () => {
  const expOf = (changes: PassageChanges): number =>
    Number(decodeJwt(createAssertion(settings, movable().clock).of(passage(changes)) ?? '').exp)

  it('is at most the ttl', () => {
    assert.equal(expOf({}), 1_800_000_060)
    assert.equal(expOf({ decision: granted(START_MS + 3_600_000) }), 1_800_000_060)
  })

  it('is never longer than that of the grant or of the credential', () => {
    assert.equal(expOf({ decision: granted(START_MS + 15_500) }), 1_800_000_015)
    const identity = { ...ALICE, credential: { ...ALICE.credential, expiresAt: 1_800_000_005 } }
    assert.equal(expOf({ identity }), 1_800_000_005)
    assert.equal(expOf({ identity, decision: granted(START_MS + 15_500) }), 1_800_000_005)
  })

  it('still has something left in the last second of a grant', () => {
    assert.equal(expOf({ decision: granted(START_MS + 400) }), 1_800_000_000.65)
  })
})

describe('a kept assertion', () => {
  it('is the same as long as its grant lives', () => {
    const { clock, pass } = movable()
    const { of } = createAssertion(settings, clock)
    const decision = granted(START_MS + 15_000)
    const first = of(passage({ decision }))
    pass(14_000)
    assert.equal(of(passage({ decision })), first)
  })

  it('is made anew before it runs out, where the grant goes on', () => {
    const { clock, pass } = movable()
    const { of } = createAssertion(settings, clock)
    const decision = granted(START_MS + 600_000)
    const first = of(passage({ decision }))
    pass(50_000)
    const second = of(passage({ decision }))
    assert.notEqual(second, first)
    assert.ok(Number(decodeJwt(second ?? '').exp) > Number(decodeJwt(first ?? '').exp))
  })

  it('is never handed out over', () => {
    const { clock, pass } = movable()
    const { of } = createAssertion(settings, clock)
    const decision = granted(START_MS + 15_500)
    for (let index = 0; index < 155; index += 1) {
      const exp = Number(decodeJwt(of(passage({ decision })) ?? '').exp)
      assert.ok(exp * 1000 > clock.nowMs() && exp * 1000 <= START_MS + 15_500, `${exp}`)
      pass(100)
    }
  })

  it('is for one grant, one upstream, and one granting', () => {
    const { of } = createAssertion(settings, movable().clock)
    const base = of(passage({ decision: granted(START_MS + 15_000) }))
    for (const changes of [
      { decision: granted(START_MS + 15_000, 'g2') },
      { decision: granted(START_MS + 16_000) },
      { decision: granted(START_MS + 15_000), upstream: 'other' },
    ]) {
      assert.notEqual(of(passage(changes)), base)
    }
  })

  it('is kept from the second request of its grant on', () => {
    const { of } = createAssertion(settings, movable().clock)
    const decision = granted(START_MS + 600_000)
    const first = of(passage({ decision: { ...decision, source: 'engine' } }))
    const second = of(passage({ decision }))
    assert.notEqual(second, first)
    assert.equal(of(passage({ decision })), second)
  })

  it('is not kept without a grant', () => {
    const { of } = createAssertion(settings, movable().clock)
    assert.notEqual(of(passage()), of(passage()))
  })
})

describe('the key of assertions', () => {
  const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const pem = p256.export({ format: 'pem', type: 'pkcs8' }).toString()

  for (const [name, content] of [
    ['a JWK', JSON.stringify({ ...p256.export({ format: 'jwk' }), kid: 'mine', use: 'sig' })],
    ['PEM', pem],
    ['SEC1 PEM', p256.export({ format: 'pem', type: 'sec1' }).toString()],
    ['a JWK with a blank line after it', `\n${JSON.stringify(p256.export({ format: 'jwk' }))}\n\n`],
  ] as const) {
    it(`may be ${name}`, async () => {
      const { make, problems } = prepare(content)
      assert.deepEqual(problems, [])
      const { key } = make()
      const [jwk] = JSON.parse(key.jwks).keys
      assert.deepEqual(Object.keys(jwk).sort(), ['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y'])
      assert.equal(key.kid, await calculateJwkThumbprint(jwk))
      assert.ok(createPublicKey({ key: jwk, format: 'jwk' }).equals(createPublicKey(p256)))
    })
  }

  for (const [name, content, message] of [
    ['empty', '', /does not hold a private key/],
    ['not a key', 'hello secret', /does not hold a private key/],
    ['broken JSON', '{"kty":"EC","d":"secret"', /does not hold a private key/],
    [
      'a public JWK',
      JSON.stringify(createPublicKey(p256).export({ format: 'jwk' })),
      /does not hold a private key/,
    ],
    [
      'a public PEM',
      createPublicKey(p256).export({ format: 'pem', type: 'spki' }).toString(),
      /does not hold a private key/,
    ],
    [
      'another curve',
      generateKeyPairSync('ec', { namedCurve: 'P-384' })
        .privateKey.export({ format: 'pem', type: 'pkcs8' })
        .toString(),
      /P-256/,
    ],
    [
      'RSA',
      generateKeyPairSync('rsa', { modulusLength: 2048 })
        .privateKey.export({ format: 'pem', type: 'pkcs8' })
        .toString(),
      /P-256/,
    ],
    ['Ed25519', JSON.stringify(generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' })), /P-256/],
    [
      'locked',
      p256.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-128-cbc', passphrase: 'x' }).toString(),
      /without a passphrase/,
    ],
  ] as const) {
    it(`may not be ${name}, which is reported and not repeated`, () => {
      const { problems } = prepare(content)
      assert.equal(problems.length, 1)
      assert.deepEqual(problems[0]?.path, ['keyFile'])
      assert.equal(problems[0]?.rule, 'assertion-key')
      assert.match(problems[0]?.message ?? '', message)
      assert.doesNotMatch(problems[0]?.message ?? '', /secret/)
    })
  }

  it('may not be of two halves', () => {
    const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })
    const { problems } = prepare(JSON.stringify({ ...p256.export({ format: 'jwk' }), d: other.d }))
    assert.deepEqual(
      problems.map(({ path }) => path),
      [['keyFile']],
    )
  })

  it('is made once where there is no file', () => {
    const { make } = prepare(null)
    assert.equal(make().key.kid, make().key.kid)
    assert.notEqual(make().key.kid, prepare(null).make().key.kid)
  })

  it('is published by the built-in route', async () => {
    const gateway = await startGateway('http://127.0.0.1:1', {
      changes: { upstream: '', routeName: 'sallyport-jwks', identity: null },
    })
    const get = 'GET /.well-known/sallyport/jwks.json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
    const answer = await exchangeRaw(gateway.port, get)
    assert.match(
      answer,
      /^HTTP\/1\.1 200 .*\r\nContent-Type: application\/json\r\n.*Cache-Control: public, max-age=300\r\n/s,
    )
    assert.match(answer, /\r\nSallyport-Decision-Id: /)
    const { keys } = JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4))
    assert.equal(keys.length, 1)
    assert.equal(keys[0].d, undefined)
    const head = await exchangeRaw(gateway.port, get.replace('GET', 'HEAD'))
    assert.ok(head.endsWith('\r\n\r\n'))
    await gateway.close()
  })

  it('is not given by another route without an upstream', async () => {
    const gateway = await startGateway('http://127.0.0.1:1', { changes: { upstream: '', routeName: 'odd' } })
    assert.match(
      await exchangeRaw(gateway.port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'),
      /^HTTP\/1\.1 500 /,
    )
    await gateway.close()
  })
})
