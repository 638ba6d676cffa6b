import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { before, describe, test } from 'node:test'
import { findCollisions, findOverlaps } from '../../../src/gateway/authenticate/cross-checks.ts'
import { jwksOf, makeKey, type TestKey } from '../../support/tokens.ts'
import { prepare, STAFF } from './harness.ts'

let key: TestKey
before(async () => {
  key = await makeKey('k1')
})

const hashOf = (text: string) => `sha256:${hash('sha256', text, 'hex')}`

const describedAs = (configs: Readonly<Record<string, object>>) => {
  const files = {
    'jwks.json': jwksOf(key),
    'partners.yaml': { keys: [{ id: 'a', hash: hashOf('a'), subject: { type: 'User', id: 'acme' } }] },
    'robots.yaml': { keys: [{ id: 'r', hash: hashOf('r'), subject: { type: 'Robot', id: 'r2' } }] },
  }
  return Object.entries(configs).map(([name, config]) => {
    const { factory, problems } = prepare(name, config, { files })
    assert.deepEqual(problems, [])
    return { name, description: factory.description }
  })
}

const PARTNERS = { type: 'api-key', keysFile: 'partners.yaml' }
const ROBOTS = { type: 'api-key', keysFile: 'robots.yaml' }

describe('overlapping credentials', () => {
  const overlaps = (configs: Readonly<Record<string, object>>) =>
    findOverlaps(describedAs(configs)).map(({ authenticator, problem }) => [authenticator, problem.rule])
  const found = (name: string) => [[name, 'overlapping-credentials']]

  test('are found where two take tokens of one issuer from one carrier', () => {
    assert.deepEqual(overlaps({ a: STAFF, b: { ...STAFF, audience: 'shop', prefix: 'b|' } }), found('b'))
    assert.deepEqual(overlaps({ a: STAFF, b: { ...STAFF, typ: 'at+jwt' } }), found('b'))
    const [overlap] = findOverlaps(describedAs({ a: STAFF, b: STAFF }))
    assert.match(overlap?.problem.message ?? '', /"a" \(Authorization: bearer, shape jwt, issuer https:.*\)/)
  })

  test('are found where two take one header, in whatever case it is written, or one cookie', () => {
    assert.deepEqual(overlaps({ a: PARTNERS, b: { ...ROBOTS, header: 'x-API-key' } }), found('b'))
    assert.deepEqual(overlaps({ a: PARTNERS, b: { ...STAFF, header: 'X-Api-Key' } }), found('b'))
    assert.deepEqual(overlaps({ a: { ...STAFF, cookie: 's' }, b: { ...STAFF, cookie: 's' } }), found('b'))
  })

  test('are found where two are anonymous', () => {
    const other = { type: 'anonymous', subject: { type: 'Visitor', id: 'x' } }
    assert.deepEqual(overlaps({ a: { type: 'anonymous' }, b: other }), found('b'))
  })

  test('are reported once a pair', () => {
    assert.deepEqual(overlaps({ a: STAFF, b: STAFF, c: STAFF }), [
      ...found('b'),
      ...found('c'),
      ...found('c'),
    ])
  })

  test('are none where issuer, carrier, scheme or cookie differ', () => {
    const configs = {
      a: STAFF,
      b: { ...STAFF, issuer: 'https://b.example.com' },
      c: { ...STAFF, header: 'X-Token' },
      d: { ...STAFF, cookie: 'session' },
      e: { ...STAFF, cookie: 'Session' },
      f: PARTNERS,
      g: { ...ROBOTS, header: 'X-Robot' },
      h: { type: 'anonymous' },
    }
    assert.deepEqual(overlaps(configs), [])
  })
})

describe('colliding subjects', () => {
  const collisions = (configs: Readonly<Record<string, object>>) =>
    findCollisions(describedAs(configs)).map(({ authenticator, problem }) => [authenticator, problem.rule])
  const found = (name: string) => [[name, 'colliding-subjects']]
  const agency = { ...STAFF, issuer: 'https://agency.example.com' }

  test('are found where one type comes from two authenticators without a prefix', () => {
    assert.deepEqual(collisions({ a: STAFF, b: agency }), found('b'))
    assert.deepEqual(collisions({ a: STAFF, b: PARTNERS }), found('b'))
    const [collision] = findCollisions(describedAs({ a: STAFF, b: agency }))
    assert.match(collision?.problem.message ?? '', /type "User".*"a".*"prefix: b\|"/)
  })

  test('are found where the prefixes are equal or one starts the other', () => {
    assert.deepEqual(
      collisions({ a: { ...STAFF, prefix: 'x|' }, b: { ...agency, prefix: 'x|' } }),
      found('b'),
    )
    assert.deepEqual(
      collisions({ a: { ...STAFF, prefix: 'x|' }, b: { ...agency, prefix: 'x|y|' } }),
      found('b'),
    )
  })

  test('are found where a type is only known with the request', () => {
    const anyType = { ...agency, subject: { type: '$claims.kind' } }
    assert.deepEqual(collisions({ a: STAFF, b: anyType }), found('b'))
    assert.deepEqual(collisions({ a: ROBOTS, b: anyType }), found('b'))
  })

  test('are found where nobody in particular has the type of somebody', () => {
    const nobody = { type: 'anonymous', subject: { type: 'User', id: 'nobody' } }
    assert.deepEqual(collisions({ a: STAFF, b: nobody }), found('b'))
    assert.deepEqual(collisions({ a: STAFF, b: { ...nobody, prefix: 'anonymous|' } }), [])
  })

  test('are none where a person signs in at the provider whose tokens are taken, and both are named alike', () => {
    const browser = { type: 'oidc', issuer: STAFF.issuer, clientId: 'gateway' }
    const byName = { type: 'User', id: '$claims.email' }
    assert.deepEqual(collisions({ a: STAFF, b: browser }), [])
    assert.deepEqual(collisions({ a: browser, b: STAFF }), [])
    assert.deepEqual(collisions({ a: agency, b: browser }), found('b'))
    assert.deepEqual(collisions({ a: STAFF, b: { ...browser, subject: byName } }), found('b'))
    assert.deepEqual(collisions({ a: STAFF, b: { ...STAFF, typ: 'at+jwt' } }), found('b'))
    assert.deepEqual(
      collisions({ a: { ...STAFF, prefix: 'x|' }, b: { ...browser, prefix: 'x|y|' } }),
      found('b'),
    )
  })

  test('are none where the types differ, or a prefix tells them apart', () => {
    assert.deepEqual(collisions({ a: STAFF, b: ROBOTS, c: { type: 'anonymous' } }), [])
    assert.deepEqual(collisions({ a: STAFF, b: { ...PARTNERS, prefix: 'partner|' } }), [])
    assert.deepEqual(collisions({ a: { ...STAFF, prefix: 'a|' }, b: { ...agency, prefix: 'b|' } }), [])
    assert.deepEqual(collisions({ a: STAFF, b: { ...agency, subject: { type: '$$User' } } }), [])
  })
})
