import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { describe, test } from 'node:test'
import { createApiKey } from '../../../src/cli/keys-new.ts'
import type { Identity } from '../../../src/core/identity.ts'
import type { Refusal } from '../../../src/core/refusals.ts'
import {
  identityOf,
  NOW,
  NOW_MS,
  outcomeOf,
  prepare,
  refusalOf,
  requestOf,
  routeOf,
  silentLog,
  stageOf,
  testClock,
  type World,
} from './harness.ts'

const ROUTE = routeOf('partners')
const CONFIG = { type: 'api-key', keysFile: 'keys.yaml' }
const BAD = 'unauthenticated, ApiKey header="X-Api-Key", error="invalid_token"'
const acme = createApiKey(NOW_MS)
const globex = createApiKey(NOW_MS)
const SUBJECT = { type: 'Partner', id: 'acme' }

const filesOf = (...keys: readonly object[]) => ({ 'keys.yaml': { keys } })

const stageWith = (keys: readonly object[], config: object = CONFIG, world: World = {}) => {
  const { authenticate } = stageOf({ partners: config }, { ...world, files: filesOf(...keys) })
  return (key: string): Identity | Refusal => {
    const result = authenticate(requestOf('x-api-key', key), ROUTE)
    if (result instanceof Promise) throw new Error('an API key needs no promise')
    return result
  }
}

describe('an API key', () => {
  test('stands for its subject, and is told of by its id', () => {
    const present = stageWith([
      { id: 'a', hash: acme.hash, subject: SUBJECT, owner: 'sales', created: '2026-01-01' },
      { id: 'g', hash: globex.hash, subject: { type: 'Partner', id: 'globex' } },
    ])
    const { subject, credential, claims } = identityOf(present(acme.key))
    const { digest, ...rest } = credential
    assert.deepEqual(subject, SUBJECT)
    assert.deepEqual(rest, {
      type: 'api-key',
      authenticator: 'partners',
      id: 'a',
      issuedAt: Date.UTC(2026, 0, 1) / 1000,
      rotationDue: false,
    })
    assert.deepEqual(claims, {
      keyId: 'a',
      subject: SUBJECT,
      owner: 'sales',
      created: '2026-01-01',
      rotationDue: false,
    })
    assert.match(digest, /^[0-9a-f]{64}$/)
    assert.notEqual(digest, hash('sha256', acme.key, 'hex'))
    assert.equal(outcomeOf(present(globex.key)), 'Partner globex')
  })

  test('is found by its hash in hex of either case and in base64url', () => {
    const hex = acme.hash.slice('sha256:'.length)
    for (const text of [hex, hex.toUpperCase(), Buffer.from(hex, 'hex').toString('base64url')]) {
      const present = stageWith([{ id: 'a', hash: `sha256:${text}`, subject: SUBJECT }])
      assert.equal(outcomeOf(present(acme.key)), 'Partner acme')
    }
  })

  test('is refused when it is another, shorter, longer, empty or the hash itself', () => {
    const present = stageWith([{ id: 'a', hash: acme.hash, subject: SUBJECT }])
    const others = [
      globex.key,
      acme.key.slice(0, -1),
      `${acme.key}x`,
      ` ${acme.key}`,
      acme.key.toUpperCase(),
      acme.hash,
      acme.hash.slice('sha256:'.length),
      'x',
      '',
      'x'.repeat(10_000),
      '__proto__',
    ]
    for (const other of others) {
      const result = present(other)
      assert.equal(outcomeOf(result), BAD)
      if (other.length > 1) assert.ok(!refusalOf(result).detail.includes(other))
    }
  })

  test('is refused from the moment on that it expires', () => {
    const clock = testClock()
    const expires = new Date(NOW_MS + 1000).toISOString()
    const present = stageWith([{ id: 'a', hash: acme.hash, subject: SUBJECT, expires }], CONFIG, { clock })
    assert.equal(identityOf(present(acme.key)).credential.expiresAt, NOW + 1)
    clock.advance(999)
    assert.equal(outcomeOf(present(acme.key)), 'Partner acme')
    clock.advance(1)
    assert.equal(outcomeOf(present(acme.key)), BAD)
    assert.match(refusalOf(present(acme.key)).detail, /partners: the key a has expired/)
  })

  test('that should have been rotated is accepted, says so in its claims, and is logged once an hour', () => {
    const clock = testClock()
    const logged: object[] = []
    const log = { ...silentLog, warn: (fields: object) => logged.push(fields) }
    const rotateAfter = '2026-11-23T12:00:01Z'
    const present = stageWith(
      [
        { id: 'a', hash: acme.hash, subject: SUBJECT, rotateAfter },
        { id: 'g', hash: globex.hash, subject: SUBJECT, rotateAfter },
      ],
      CONFIG,
      { clock, log },
    )
    const isDue = (key: string) => identityOf(present(key)).claims.rotationDue
    const saysDue = (key: string) => identityOf(present(key)).credential.rotationDue
    assert.equal(isDue(acme.key), false)
    assert.equal(saysDue(acme.key), false)
    assert.deepEqual(logged, [])
    clock.advance(1000)
    assert.deepEqual([isDue(acme.key), isDue(acme.key), isDue(globex.key)], [true, true, true])
    assert.equal(saysDue(acme.key), true)
    assert.deepEqual(logged, [
      { authenticator: 'partners', keyId: 'a' },
      { authenticator: 'partners', keyId: 'g' },
    ])
    clock.advance(60 * 60_000 - 1)
    present(acme.key)
    assert.equal(logged.length, 2)
    clock.advance(1)
    present(acme.key)
    assert.equal(logged.length, 3)
  })

  test('may have another subject made of what is known of it, and a prefix', () => {
    const subject = { type: 'Service', id: '$claims.owner', properties: { key: '$claims.keyId' } }
    const present = stageWith(
      [
        { id: 'a', hash: acme.hash, subject: SUBJECT, owner: 'sales' },
        { id: 'g', hash: globex.hash, subject: SUBJECT },
      ],
      { ...CONFIG, subject, prefix: 'partner|' },
    )
    assert.deepEqual(identityOf(present(acme.key)).subject, {
      type: 'Service',
      id: 'partner|sales',
      properties: { key: 'a' },
    })
    assert.equal(outcomeOf(present(globex.key)), 'denied')
  })

  test('comes in by the configured header', () => {
    const { authenticate } = stageOf(
      { partners: { ...CONFIG, header: 'X-Partner' } },
      { files: filesOf({ id: 'a', hash: acme.hash, subject: SUBJECT }) },
    )
    const outcome = (name: string) => {
      const result = authenticate(requestOf(name, acme.key), ROUTE)
      return result instanceof Promise ? 'a promise' : outcomeOf(result)
    }
    assert.equal(outcome('X-PARTNER'), 'Partner acme')
    assert.equal(outcome('X-Api-Key'), 'unauthenticated, ApiKey header="X-Partner"')
  })
})

describe('the keys file', () => {
  const entry = { id: 'a', hash: acme.hash, subject: SUBJECT }
  const problemsOf = (...keys: readonly object[]) =>
    prepare('partners', CONFIG, { files: filesOf(...keys) }).fileProblems.map(({ path, message }) => [
      path.join('.'),
      message,
    ])

  test('may be empty, and dates need no quotes', () => {
    assert.deepEqual(problemsOf(), [])
    const yaml = `keys:\n  - { id: a, hash: "${acme.hash}", subject: { type: P, id: a }, expires: 2027-01-31 }\n`
    assert.deepEqual(prepare('partners', CONFIG, { files: { 'keys.yaml': yaml } }).fileProblems, [])
  })

  test('names an id and a hash that occur twice at their later place, also in another spelling', () => {
    const spelled = `sha256:${Buffer.from(acme.hash.slice(7), 'hex').toString('base64url')}`
    assert.deepEqual(problemsOf(entry, { ...entry, hash: globex.hash }), [
      ['keys.1.id', 'key 1 has the same id'],
    ])
    assert.deepEqual(problemsOf(entry, { ...entry, id: 'b', hash: spelled }), [
      ['keys.1.hash', 'key 1 has the same hash'],
    ])
  })

  test('reports each mistake at its place', () => {
    const mistakes: Readonly<Record<string, object>> = {
      'keys.0.hash': { ...entry, hash: acme.key },
      'keys.0.id': { ...entry, id: '' },
      'keys.0.subject.id': { ...entry, subject: { type: 'P', id: '' } },
      'keys.0.expires': { ...entry, expires: '2027-02-30' },
      'keys.0.created': { ...entry, created: 'yesterday' },
      'keys.0.rotateAfter': { ...entry, rotateAfter: '2027-01-01T00:00:00' },
      'keys.0': { ...entry, key: 'x' },
    }
    for (const [place, key] of Object.entries(mistakes)) {
      assert.deepEqual(
        problemsOf(key).map(([at]) => at),
        [place],
      )
    }
  })

  test('is reported when it is not there', () => {
    const { problems } = prepare('partners', CONFIG)
    assert.deepEqual(
      problems.map(({ path }) => path),
      [['keysFile']],
    )
  })
})
