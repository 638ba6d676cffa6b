import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { isRefusal } from '../../../src/core/refusals.ts'
import type { Route } from '../../../src/core/route.ts'
import { requireConfig, requirementOf } from '../../../src/gateway/authenticate/requirement.ts'
import { type Json, jwksOf, makeKey, type TestKey } from '../../support/tokens.ts'
import {
  BAD,
  bearer,
  CLAIMS,
  identityOf,
  NOW,
  outcomeOf,
  routeOf,
  STAFF,
  settings,
  stageOf,
  testClock,
} from './harness.ts'

let key: TestKey

before(async () => {
  key = await makeKey('k1')
})

const routeThat = (require: object): Route => ({
  ...routeOf('staff'),
  require: requirementOf(requireConfig(settings).parse(require)),
})

/** Subject, or status code and challenge; by the authenticator's requirement, and by the route's. */
const ask = async (require: object, claims: Json): Promise<string> => {
  const files = { 'jwks.json': jwksOf(key) }
  const token = await key.sign({ ...CLAIMS, ...claims })
  const say = (result: Awaited<ReturnType<ReturnType<typeof stageOf>['authenticate']>>): string =>
    isRefusal(result) ? `${result.refusal} ${result.headers?.[1] ?? ''}` : outcomeOf(result)
  const strict = stageOf({ staff: { ...STAFF, require } }, { files })
  const lenient = stageOf({ staff: STAFF }, { files })
  const byAuthenticator = say(await strict.authenticate(bearer(token), routeOf('staff')))
  const byRoute = say(await lenient.authenticate(bearer(token), routeThat(require)))
  assert.equal(byAuthenticator, byRoute)
  // Known by now.
  assert.equal(say(await lenient.authenticate(bearer(token), routeThat(require))), byRoute)
  return byRoute
}

describe('required scopes', () => {
  const require = { scopes: ['read', 'write'] }
  const lacking = 'denied Bearer error="insufficient_scope", scope="read write"'
  const cases: Readonly<Record<string, readonly [Json, string]>> = {
    'a scope with all of them': [{ scope: 'write other read' }, 'User alice'],
    'a list in scp': [{ scp: ['read', 'write'] }, 'User alice'],
    'text in scp': [{ scp: 'read write' }, 'User alice'],
    'one of them': [{ scope: 'read' }, lacking],
    'no scope': [{}, lacking],
    'a scope that only starts so': [{ scope: 'read writes' }, lacking],
    'a scope in an object': [{ scope: { read: 1, write: 1 } }, lacking],
    'a list in a list': [{ scp: [['read', 'write']] }, lacking],
  }
  for (const [what, [claims, outcome]] of Object.entries(cases)) {
    test(`${what}: ${outcome.split(' ')[0]}`, async () => assert.equal(await ask(require, claims), outcome))
  }
})

describe('required claims', () => {
  const require = { claims: { email_verified: true, tenant: ['north', 'south'] } }
  const cases: Readonly<Record<string, readonly [Json, string]>> = {
    'both as required': [{ email_verified: true, tenant: 'south' }, 'User alice'],
    'one of a list': [{ email_verified: true, tenant: ['west', 'north'] }, 'User alice'],
    'text for a boolean': [{ email_verified: 'true', tenant: 'south' }, 'denied '],
    'another value': [{ email_verified: true, tenant: 'west' }, 'denied '],
    'one missing': [{ tenant: 'south' }, 'denied '],
    'an empty list': [{ email_verified: true, tenant: [] }, 'denied '],
  }
  for (const [what, [claims, outcome]] of Object.entries(cases)) {
    test(`${what}: ${outcome}`, async () => assert.equal(await ask(require, claims), outcome))
  }
  test('names that every object has are no claims', async () => {
    assert.equal(await ask({ claims: { constructor: ['x'] } }, {}), 'denied ')
  })
})

describe('step-up', () => {
  const challenge = (rest: string): string =>
    'unauthenticated Bearer error="insufficient_user_authentication", ' +
    `error_description="A stronger or more recent authentication is required", ${rest}`

  test('an acr that is not as required is challenged with those that are', async () => {
    const require = { acr: ['urn:mfa', 'urn:hardware'] }
    assert.equal(await ask(require, { acr: 'urn:hardware' }), 'User alice')
    const refused = challenge('acr_values="urn:mfa urn:hardware"')
    assert.equal(await ask(require, { acr: 'urn:password' }), refused)
    assert.equal(await ask(require, { acr: ['urn:mfa'] }), refused)
    assert.equal(await ask(require, {}), refused)
  })

  test('a login that is too long ago is challenged with the age that is not', async () => {
    const require = { maxAge: '5m' }
    assert.equal(await ask(require, { auth_time: NOW - 299 }), 'User alice')
    assert.equal(await ask(require, { auth_time: NOW - 300 }), challenge('max_age="300"'))
    assert.equal(await ask(require, {}), challenge('max_age="300"'))
    assert.equal(await ask(require, { auth_time: String(NOW) }), challenge('max_age="300"'))
  })

  test('a login is no later than the token that tells of it', async () => {
    const require = { maxAge: '5m' }
    const late = { auth_time: NOW * 1000, iat: NOW - 300 }
    assert.equal(await ask(require, late), challenge('max_age="300"'))
    assert.equal(await ask(require, { ...late, iat: NOW - 299 }), 'User alice')
  })

  test('a login ages while its token is known', async () => {
    const clock = testClock()
    const files = { 'jwks.json': jwksOf(key) }
    const stage = stageOf({ staff: { ...STAFF, require: { maxAge: '5m' } } }, { files, clock })
    const token = await key.sign({ ...CLAIMS, auth_time: NOW })
    assert.equal(outcomeOf(await stage.authenticate(bearer(token), routeOf('staff'))), 'User alice')
    clock.advance(300_000)
    assert.match(outcomeOf(await stage.authenticate(bearer(token), routeOf('staff'))), /insufficient_user/)
  })
})

describe('what a token says beside', () => {
  const identityWith = async (claims: Json) => {
    const stage = stageOf({ staff: STAFF }, { files: { 'jwks.json': jwksOf(key) } })
    return stage.authenticate(bearer(await key.sign({ ...CLAIMS, ...claims })), routeOf('staff'))
  }

  test('auth_time and sid are told of the credential', async () => {
    const { credential } = identityOf(await identityWith({ auth_time: NOW - 60, sid: 'session-1' }))
    assert.equal(credential.authenticatedAt, NOW - 60)
    assert.equal(credential.session, 'session-1')
    const odd = identityOf(await identityWith({ auth_time: 'yesterday', sid: { id: 1 } }))
    assert.equal('authenticatedAt' in odd.credential || 'session' in odd.credential, false)
  })

  test('the chain of actors becomes a property of the subject, the present one first', async () => {
    const act = { sub: 'agent', iss: 'https://a.example', name: 'x', act: { sub: 'orchestrator' } }
    const { subject } = identityOf(await identityWith({ act }))
    assert.deepEqual(subject.properties, {
      actors: [{ sub: 'agent', iss: 'https://a.example' }, { sub: 'orchestrator' }],
    })
    assert.equal(identityOf(await identityWith({})).subject.properties, undefined)
  })

  test('a chain of actors that is broken or too long is refused', async () => {
    let act: Json = { sub: 'a1' }
    for (let n = 2; n <= 8; n += 1) act = { sub: `a${n}`, act }
    assert.equal(outcomeOf(await identityWith({ act })), 'User alice')
    for (const bad of [
      { sub: 'a9', act },
      null,
      'agent',
      [],
      {},
      { sub: '' },
      { sub: 'a', act: {} },
      { sub: 'a', iss: 1 },
    ]) {
      assert.equal(outcomeOf(await identityWith({ act: bad })), BAD, JSON.stringify(bad))
    }
  })
})
