import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { before, describe, test } from 'node:test'
import { isRefusal } from '../../../src/core/refusals.ts'
import type { CanonicalRequest } from '../../../src/core/request.ts'
import { memoryReplayStore } from '../../../src/gateway/authenticate/replay-store.ts'
import { type DpopKey, makeDpopKey, type ProofOptions } from '../../support/dpop.ts'
import { jwksOf, makeKey, type TestKey } from '../../support/tokens.ts'
import {
  bearer,
  CLAIMS,
  NOW,
  NOW_MS,
  outcomeOf,
  refusalOf,
  requestOf,
  routeOf,
  STAFF,
  type Stage,
  stageOf,
  type TestClock,
  testClock,
} from './harness.ts'

const ROUTE = routeOf('staff')

let issuer: TestKey
let holder: DpopKey
let other: DpopKey
let token: string
let stage: Stage
let clock: TestClock

const stageWith = (config: object = {}): Stage =>
  stageOf({ staff: { ...STAFF, ...config } }, { files: { 'jwks.json': jwksOf(issuer) }, clock })

before(async () => {
  issuer = await makeKey('k1')
  holder = await makeDpopKey()
  other = await makeDpopKey()
  token = await issuer.sign({ ...CLAIMS, cnf: { jkt: holder.jkt } })
  clock = testClock()
  stage = stageWith()
})

const challengeOf = (refusal: { readonly headers?: readonly string[] }): string => {
  const { headers = [] } = refusal
  return headers[headers.indexOf('WWW-Authenticate') + 1] ?? ''
}

const requestWith = (proofs: readonly string[], more: Partial<CanonicalRequest> = {}): CanonicalRequest => {
  const headers = ['Authorization', `DPoP ${token}`, ...proofs.flatMap((proof) => ['DPoP', proof])]
  return { ...requestOf(...headers), ...more }
}

const present = async (
  options: ProofOptions = {},
  more: Partial<CanonicalRequest> = {},
  key = holder,
): Promise<string> => {
  const proof = await key.prove(NOW, { token, ...options })
  const result = await stage.authenticate(requestWith([proof], more), ROUTE)
  return isRefusal(result) ? challengeOf(result) : outcomeOf(result)
}

const isRefused = (outcome: string): void => {
  assert.match(outcome, /^DPoP error="invalid_dpop_proof", algs="[A-Za-z0-9 -]+ES256[A-Za-z0-9 -]+"$/)
}

describe('a token that is bound to a key', () => {
  test('is taken with a proof, and needs a new one for each request', async () => {
    const proof = await holder.prove(NOW, { token })
    assert.equal(outcomeOf(await stage.authenticate(requestWith([proof]), ROUTE)), 'User alice')
    isRefused(challengeOf(refusalOf(await stage.authenticate(requestWith([proof]), ROUTE))))
    assert.equal(await present(), 'User alice')
  })

  test('is refused as Bearer, by a cookie, and without a proof, also when it is known', async () => {
    assert.equal(await present(), 'User alice')
    const asBearer = refusalOf(await stage.authenticate(bearer(token), ROUTE))
    assert.match(challengeOf(asBearer), /^DPoP error="invalid_token"/)
    const proof = await holder.prove(NOW, { token })
    const both = requestOf('Authorization', `Bearer ${token}`, 'DPoP', proof)
    assert.match(challengeOf(refusalOf(await stage.authenticate(both, ROUTE))), /^DPoP error="invalid_token"/)
    isRefused(challengeOf(refusalOf(await stage.authenticate(requestWith([]), ROUTE))))
    const byCookie = stageWith({ cookie: 'token' })
    const cookie = requestOf('Cookie', `token=${token}`, 'DPoP', await holder.prove(NOW, { token }))
    assert.match(challengeOf(refusalOf(await byCookie.authenticate(cookie, ROUTE))), /^DPoP error=/)
  })

  test('is refused with two proofs', async () => {
    const proofs = [await holder.prove(NOW, { token }), await holder.prove(NOW, { token })]
    isRefused(challengeOf(refusalOf(await stage.authenticate(requestWith(proofs), ROUTE))))
  })

  test('goes on when the same request is taken again after an edit', async () => {
    const request = requestWith([await holder.prove(NOW, { token })])
    assert.equal(outcomeOf(await stage.authenticate(request, ROUTE)), 'User alice')
    assert.equal(outcomeOf(await stage.authenticate({ ...request, id: 'again' }, ROUTE)), 'User alice')
  })

  test('says in the scheme DPoP that it is bound: an unbound one is refused', async () => {
    const unbound = await issuer.sign(CLAIMS)
    const proof = await holder.prove(NOW, { token: unbound })
    const request = requestOf('Authorization', `DPoP ${unbound}`, 'DPoP', proof)
    assert.equal(refusalOf(await stage.authenticate(request, ROUTE)).refusal, 'unauthenticated')
  })

  const bad: Readonly<Record<string, () => ProofOptions>> = {
    'for another method': () => ({ method: 'POST' }),
    'for a method in other letters': () => ({ method: 'get' }),
    'for another path': () => ({ uri: 'http://example.com/other' }),
    'for another host': () => ({ uri: 'http://example.org/' }),
    'for another scheme': () => ({ uri: 'https://example.com/' }),
    'for another port': () => ({ uri: 'http://example.com:8080/' }),
    'with a user in its URI': () => ({ uri: 'http://me@example.com/' }),
    'with a path for its URI': () => ({ uri: '/' }),
    'for another token': () => ({ claims: { ath: hash('sha256', 'another', 'base64url') } }),
    'for no token': () => ({ claims: { ath: undefined } }),
    'without a jti': () => ({ claims: { jti: undefined } }),
    'with an empty jti': () => ({ claims: { jti: '' } }),
    'with an endless jti': () => ({ claims: { jti: 'j'.repeat(300) } }),
    'without an iat': () => ({ claims: { iat: undefined } }),
    'with an iat in a string': () => ({ claims: { iat: String(NOW) } }),
    'that is too old': () => ({ claims: { iat: NOW - 65 } }),
    'of the future': () => ({ claims: { iat: NOW + 6 } }),
    'without a method': () => ({ claims: { htm: undefined } }),
    'without a URI': () => ({ claims: { htu: undefined } }),
    'with another typ': () => ({ header: { typ: 'JWT' } }),
    'without a typ': () => ({ header: { typ: undefined } }),
    'without its key': () => ({ header: { jwk: undefined } }),
    'with its private key': () => ({ header: { jwk: holder.privateJwk } }),
    'with the key of another': () => ({ header: { jwk: other.jwk } }),
    'with a symmetric key': () => ({ header: { jwk: { kty: 'oct', k: 'AAAA' } } }),
    'with a nonce that is a number': () => ({ claims: { nonce: 1 } }),
  }
  for (const [what, options] of Object.entries(bad)) {
    test(`is refused with a proof ${what}`, async () => isRefused(await present(options())))
  }

  test('is refused with a proof by another key', async () => {
    isRefused(await present({}, {}, other))
    isRefused(await present({ header: { jwk: holder.jwk } }, {}, other))
  })

  test('is refused with a proof that is not signed', async () => {
    const [, payload] = (await holder.prove(NOW, { token })).split('.')
    for (const header of [
      { alg: 'none', typ: 'dpop+jwt', jwk: holder.jwk },
      { alg: 'HS256', typ: 'dpop+jwt', jwk: holder.jwk },
      { alg: 'ES256', typ: 'dpop+jwt', jwk: holder.jwk },
    ]) {
      const head = Buffer.from(JSON.stringify(header)).toString('base64url')
      const request = requestWith([`${head}.${payload}.AAAA`])
      isRefused(challengeOf(refusalOf(await stage.authenticate(request, ROUTE))))
    }
  })

  test('takes the URI in the spelling of the caller and in the canonical one, whatever the query', async () => {
    const more = { originalTarget: '/a%7eb/%c3%a4?x=1', target: '/a~b/%C3%A4?x=1', path: '/a~b/%C3%A4' }
    for (const path of ['/a%7eb/%c3%a4', '/a~b/%C3%A4', '/a~b/%C3%A4?x=2#y', '/a~b/%c3%a4']) {
      assert.equal(await present({ uri: `http://example.com${path}` }, more), 'User alice', path)
    }
    isRefused(await present({ uri: 'http://example.com/a~b/ä' }, more))
    for (const uri of ['HTTP://EXAMPLE.com:80/', 'http://example.com']) {
      assert.equal(await present({ uri }), 'User alice', uri)
    }
    const absolute = { originalTarget: 'http://example.com/a?b', target: '/a?b', path: '/a' }
    assert.equal(await present({ uri: 'http://example.com/a' }, absolute), 'User alice')
  })
})

describe('a nonce of the gateway', () => {
  test('is asked for, told, and taken for the minute after its own', async () => {
    const own = stageWith({ dpop: { nonce: true } })
    const ask = async (nonce: string | undefined) => {
      const now = clock.nowMs() / 1000
      const proof = await holder.prove(now, { token, claims: { nonce } })
      return own.authenticate(requestWith([proof]), ROUTE)
    }
    const asked = refusalOf(await ask(undefined))
    assert.match(challengeOf(asked), /^DPoP error="use_dpop_nonce"/)
    const { headers = [] } = asked
    const nonce = headers[headers.indexOf('DPoP-Nonce') + 1]
    assert.match(nonce ?? '', /^[\w-]{43}$/)
    assert.equal(outcomeOf(await ask(nonce)), 'User alice')
    assert.match(challengeOf(refusalOf(await ask(`${nonce?.slice(1)}x`))), /use_dpop_nonce/)
    clock.advance(60_000)
    assert.equal(outcomeOf(await ask(nonce)), 'User alice')
    clock.advance(60_000)
    assert.match(challengeOf(refusalOf(await ask(nonce))), /use_dpop_nonce/)
    clock.advance(-120_000)
  })
})

describe('dpop.required', () => {
  test('refuses tokens that are not bound, and says so in its challenge', async () => {
    const own = stageWith({ dpop: { required: true } })
    const refusal = refusalOf(await own.authenticate(bearer(await issuer.sign(CLAIMS)), ROUTE))
    assert.match(challengeOf(refusal), /^DPoP algs=".*", error="invalid_token"$/)
    assert.match(challengeOf(refusalOf(await own.authenticate(requestOf(), ROUTE))), /^DPoP algs="[^"]*"$/)
    const proof = await holder.prove(NOW, { token })
    assert.equal(outcomeOf(await own.authenticate(requestWith([proof]), ROUTE)), 'User alice')
  })
})

describe('what has been used', () => {
  test('is known until it would be too old, and is never forgotten to make room', async () => {
    const store = memoryReplayStore(2)
    assert.equal(await store.use('a', NOW_MS + 1500, NOW_MS), 'first')
    assert.equal(await store.use('a', NOW_MS + 1500, NOW_MS + 1499), 'used')
    assert.equal(await store.use('b', NOW_MS + 9000, NOW_MS + 1499), 'first')
    assert.equal(await store.use('c', NOW_MS + 9000, NOW_MS + 1499), 'full')
    assert.equal(await store.use('c', NOW_MS + 9000, NOW_MS + 2500), 'first')
    assert.equal(await store.use('b', NOW_MS + 9000, NOW_MS + 8999), 'used')
  })
})
