import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { before, describe, test } from 'node:test'
import type { Identity } from '../../../src/core/identity.ts'
import type { Refusal } from '../../../src/core/refusals.ts'
import { createAuthenticate } from '../../../src/gateway/authenticate/authenticate.ts'
import type {
  Authenticator,
  Description,
  Verification,
} from '../../../src/gateway/authenticate/authenticator.ts'
import { forge, jwksOf, makeKey, type TestKey } from '../../support/tokens.ts'
import {
  BAD,
  bearer,
  CLAIMS,
  identityOf,
  NOW_MS,
  outcomeOf,
  refusalOf,
  requestOf,
  routeOf,
  STAFF,
  type Stage,
  stageOf,
  testClock,
} from './harness.ts'

const PARTNER_KEY = 'sp_k1_0123456789abcdefghijklmnopqrstuvwxyz'
const WRONG_KEY = 'sp_k2_0123456789abcdefghijklmnopqrstuvwxyz'

let key: TestKey
let stage: Stage
let staffToken: string
let agencyToken: string

before(async () => {
  key = await makeKey('k1')
  stage = stageOf(
    {
      staff: STAFF,
      agency: { ...STAFF, issuer: 'https://agency.example.com', prefix: 'agency|' },
      browser: { ...STAFF, cookie: 'session', subject: { type: 'Visitor' } },
      partners: { type: 'api-key', keysFile: 'keys.yaml', prefix: 'partner|' },
      nobody: { type: 'anonymous' },
    },
    {
      files: {
        'jwks.json': jwksOf(key),
        'keys.yaml': {
          keys: [
            {
              id: 'k1',
              hash: `sha256:${hash('sha256', PARTNER_KEY, 'hex')}`,
              subject: { type: 'User', id: 'acme' },
            },
          ],
        },
      },
    },
  )
  staffToken = await key.sign(CLAIMS)
  agencyToken = await key.sign({ ...CLAIMS, iss: 'https://agency.example.com' })
})

interface Case {
  readonly list: readonly string[]
  readonly headers: readonly string[]
  readonly outcome: string
}

const run = async ({ list, headers }: Omit<Case, 'outcome'>): Promise<Identity | Refusal> =>
  stage.authenticate(requestOf(...headers), routeOf(...list))

const cases = (table: () => Readonly<Record<string, Case>>, names: readonly string[]): void => {
  for (const name of names) {
    test(name, async () => {
      const each = table()[name]
      assert.ok(each !== undefined)
      assert.equal(outcomeOf(await run(each)), each.outcome)
    })
  }
}

describe('which authenticator decides', () => {
  const table = (): Readonly<Record<string, Case>> => ({
    'the issuer selects among those of one carrier': {
      list: ['staff', 'agency'],
      headers: ['Authorization', `Bearer ${agencyToken}`],
      outcome: 'User agency|alice',
    },
    'an issuer that the route does not list is refused, even if another route takes it': {
      list: ['staff', 'partners'],
      headers: ['Authorization', `Bearer ${agencyToken}`],
      outcome: BAD,
    },
    'the first of the list that is present decides': {
      list: ['partners', 'staff'],
      headers: ['Authorization', `Bearer ${staffToken}`, 'X-Api-Key', PARTNER_KEY],
      outcome: 'User partner|acme',
    },
    'the order of the header fields does not matter': {
      list: ['staff', 'partners'],
      headers: ['X-Api-Key', PARTNER_KEY, 'Authorization', `Bearer ${staffToken}`],
      outcome: 'User alice',
    },
    'the second decides when the first is not present': {
      list: ['staff', 'partners'],
      headers: ['X-Api-Key', PARTNER_KEY],
      outcome: 'User partner|acme',
    },
    'a bad credential is refused although the next one would be good': {
      list: ['staff', 'partners'],
      headers: ['Authorization', 'Bearer nonsense', 'X-Api-Key', PARTNER_KEY],
      outcome: BAD,
    },
    'a bad key is refused although the token would be good': {
      list: ['partners', 'staff'],
      headers: ['Authorization', `Bearer ${staffToken}`, 'X-Api-Key', WRONG_KEY],
      outcome: BAD,
    },
    'a scheme that nobody takes leaves the others to decide': {
      list: ['staff', 'partners'],
      headers: ['Authorization', 'Basic YTpi', 'X-Api-Key', PARTNER_KEY],
      outcome: 'User partner|acme',
    },
    'a carrier that is not in the list is not looked at': {
      list: ['partners'],
      headers: ['Authorization', 'Bearer nonsense', 'X-Api-Key', PARTNER_KEY],
      outcome: 'User partner|acme',
    },
    'a token in a cookie is found among others': {
      list: ['browser'],
      headers: ['Cookie', `a=b; session=${'TOKEN'}; c="d; e"`],
      outcome: 'Visitor alice',
    },
    'a token in the wrong carrier is none': {
      list: ['browser'],
      headers: ['Authorization', `Bearer ${staffToken}`],
      outcome: 'unauthenticated, Bearer',
    },
  })
  const names = Object.keys(table())
  cases(() => {
    const withToken = Object.entries(table()).map(([name, each]) => [
      name,
      { ...each, headers: each.headers.map((value) => value.replace('TOKEN', staffToken)) },
    ])
    return Object.fromEntries(withToken)
  }, names)

  test('the refusal says why each of those that share the carrier did not take it', async () => {
    const headers = ['Authorization', `Bearer ${forge({ alg: 'ES256' }, { iss: 'https://x.example' })}`]
    const { detail } = refusalOf(await run({ list: ['staff', 'agency'], headers }))
    assert.match(detail, /staff: .*not issued by https:\/\/idp\..*agency: .*not issued by https:\/\/agency\./)
    assert.doesNotMatch(detail, /x\.example/)
  })
})

describe('nobody in particular', () => {
  const list = ['staff', 'partners', 'browser', 'nobody']
  const anonymous = 'Anonymous anonymous'
  const table = (): Readonly<Record<string, Case>> => ({
    'passes where nothing is presented': { list, headers: [], outcome: anonymous },
    'passes also when named first': { list: ['nobody', 'staff'], headers: [], outcome: anonymous },
    'does not decide when named first and a credential is there': {
      list: ['nobody', 'staff'],
      headers: ['Authorization', `Bearer ${staffToken}`],
      outcome: 'User alice',
    },
    'does not stand in for a bad token': {
      list,
      headers: ['Authorization', 'Bearer nonsense'],
      outcome: BAD,
    },
    'does not stand in for a token of an issuer that is not listed': {
      list,
      headers: ['Authorization', `Bearer ${agencyToken}`],
      outcome: BAD,
    },
    'does not stand in for an empty token': { list, headers: ['Authorization', 'Bearer'], outcome: BAD },
    'does not stand in for a token of spaces': { list, headers: ['Authorization', 'Bearer  '], outcome: BAD },
    'does not stand in for an empty header': { list, headers: ['X-Api-Key', ''], outcome: BAD },
    'does not stand in for an empty cookie': { list, headers: ['Cookie', 'session='], outcome: BAD },
    'does not stand in for a cookie without a value': {
      list,
      headers: ['Cookie', 'a=b; session'],
      outcome: BAD,
    },
    'does not stand in for another scheme': {
      list,
      headers: ['Authorization', 'Basic YTpi'],
      outcome: 'unauthenticated, Bearer',
    },
    'does not stand in for a scheme that only looks like the right one': {
      list,
      headers: ['Authorization', 'Bearer\tx'],
      outcome: 'unauthenticated, Bearer',
    },
    'does not stand in for an Authorization without anything': {
      list,
      headers: ['Authorization', ''],
      outcome: 'unauthenticated, Bearer',
    },
    'passes with credentials that the route does not look at': {
      list: ['nobody'],
      headers: ['Authorization', 'Bearer nonsense', 'X-Api-Key', WRONG_KEY],
      outcome: anonymous,
    },
    'passes with cookies of other names': {
      list,
      headers: ['Cookie', 'Session=x; sessio=y; xsession=z; a=session'],
      outcome: anonymous,
    },
  })
  cases(table, Object.keys(table()))
})

describe('a carrier that comes twice', () => {
  const table = (): Readonly<Record<string, Case>> => {
    const good = `Bearer ${staffToken}`
    const twice = (list: readonly string[], ...headers: readonly string[]): Case => ({
      list,
      headers,
      outcome: 'bad_request',
    })
    return {
      'two equal Authorization headers': twice(['staff'], 'Authorization', good, 'authorization', good),
      'a good and a bad one': twice(['staff'], 'Authorization', good, 'Authorization', 'Bearer x'),
      'another scheme first': twice(['staff'], 'Authorization', 'Basic YTpi', 'AUTHORIZATION', good),
      'two keys': twice(['partners'], 'X-Api-Key', PARTNER_KEY, 'x-api-key', PARTNER_KEY),
      'two empty keys': twice(['partners', 'nobody'], 'X-Api-Key', '', 'X-Api-Key', ''),
      'also when another carrier would decide': twice(
        ['staff', 'partners'],
        ...['Authorization', good, 'X-Api-Key', PARTNER_KEY, 'X-Api-Key', PARTNER_KEY],
      ),
      'a cookie twice in one header': twice(['browser'], 'Cookie', `session=${staffToken}; session=x`),
      'a cookie twice, once without a value': twice(['browser'], 'Cookie', `session; session=${staffToken}`),
      'two cookie headers': twice(['browser'], 'Cookie', `session=${staffToken}`, 'cookie', 'a=b'),
    }
  }
  cases(table, Object.keys(table()))
})

describe('the challenge of a 401', () => {
  const table = (): Readonly<Record<string, Case>> => ({
    'is Bearer alone without a credential': {
      list: ['staff'],
      headers: [],
      outcome: 'unauthenticated, Bearer',
    },
    'is Bearer as soon as the list has one': {
      list: ['partners', 'staff'],
      headers: [],
      outcome: 'unauthenticated, Bearer',
    },
    'names the header where only keys are taken': {
      list: ['partners'],
      headers: [],
      outcome: 'unauthenticated, ApiKey header="X-Api-Key"',
    },
    'says that the key was bad': {
      list: ['partners'],
      headers: ['X-Api-Key', WRONG_KEY],
      outcome: 'unauthenticated, ApiKey header="X-Api-Key", error="invalid_token"',
    },
  })
  cases(table, Object.keys(table()))
})

describe('subjects of different authenticators', () => {
  test('an id that starts with the prefix of another authenticator is denied', async () => {
    for (const sub of ['partner|acme', 'partner|', 'agency|alice']) {
      const result = await stage.authenticate(bearer(await key.sign({ ...CLAIMS, sub })), routeOf('staff'))
      assert.equal(outcomeOf(result), 'denied')
      assert.match(refusalOf(result).detail, /kept for (partners|agency)$/)
    }
  })

  test('an id that only resembles the prefix is another id', async () => {
    const result = await stage.authenticate(
      bearer(await key.sign({ ...CLAIMS, sub: 'partner' })),
      routeOf('staff'),
    )
    assert.equal(outcomeOf(result), 'User partner')
  })

  test('a type that the prefix does not belong to may have such ids', async () => {
    const token = await key.sign({ ...CLAIMS, sub: 'partner|acme' })
    const result = await stage.authenticate(requestOf('Cookie', `session=${token}`), routeOf('browser'))
    assert.equal(outcomeOf(result), 'Visitor partner|acme')
  })

  test('an authenticator may use its own prefix twice', async () => {
    const claims = { ...CLAIMS, iss: 'https://agency.example.com', sub: 'agency|alice' }
    const result = await stage.authenticate(bearer(await key.sign(claims)), routeOf('agency'))
    assert.equal(outcomeOf(result), 'User agency|agency|alice')
  })
})

/** An authenticator that takes anything and counts, so that the cache can be seen from outside. */
const counting = (
  name: string,
  keep: { readonly untilMs: number; readonly vouched?: () => boolean } | null,
): Authenticator & { readonly calls: () => number } => {
  let calls = 0
  const description: Description = {
    carrier: { kind: 'authorization', scheme: 'Bearer' },
    selector: { name },
    subjectTypes: ['User'],
    prefix: name,
  }
  return {
    name,
    type: 'counting',
    carrier: description.carrier,
    description,
    challenge: null,
    declines: ({ value }) => (value.startsWith(name) ? null : 'no'),
    authenticate: async ({ digest }): Promise<Verification> => {
      calls += 1
      return {
        identity: {
          subject: { type: 'User', id: `${name}${calls}` },
          credential: { type: 'counting', authenticator: name, id: '', digest },
          claims: {},
        },
        keep: keep === null ? null : { vouched: () => true, ...keep },
      }
    },
    calls: () => calls,
  }
}

describe('the cache of verified credentials', () => {
  const FOREVER = Number.POSITIVE_INFINITY

  test('a known credential is answered at once, without a promise, and with the very same identity', async () => {
    const first = stage.authenticate(bearer(staffToken), routeOf('staff'))
    const identity = await first
    const again = stage.authenticate(bearer(staffToken), routeOf('staff'))
    assert.equal(again instanceof Promise, false)
    assert.equal(again, identity)
  })

  test('ends with the token', async () => {
    const clock = testClock()
    const files = { 'jwks.json': jwksOf(key) }
    const { authenticate } = stageOf({ staff: STAFF }, { files, clock })
    const route = routeOf('staff')
    const present = () => authenticate(bearer(staffToken), route)
    assert.equal(outcomeOf(await present()), 'User alice')
    clock.advance(600_000 + 4_999)
    assert.equal(outcomeOf(identityOf(await present())), 'User alice')
    clock.advance(1)
    assert.equal(outcomeOf(await present()), BAD)
  })

  test('ends when what it was verified with is no longer good', async () => {
    let good = true
    const door = counting('a', { untilMs: FOREVER, vouched: () => good })
    const authenticate = createAuthenticate({ authenticators: new Map([['a', door]]), clock: testClock() })
    const route = routeOf('a')
    await authenticate(bearer('a'), route)
    await authenticate(bearer('a'), route)
    assert.equal(door.calls(), 1)
    good = false
    await authenticate(bearer('a'), route)
    assert.equal(door.calls(), 2)
  })

  test('does not answer for another authenticator, whatever the route lists', async () => {
    const greedy = { ...counting('', { untilMs: FOREVER }), name: 'greedy' }
    const careful = counting('a', { untilMs: FOREVER })
    const authenticators = new Map<string, Authenticator>([
      ['greedy', greedy],
      ['a', careful],
    ])
    const authenticate = createAuthenticate({ authenticators, clock: testClock() })
    await authenticate(bearer('a'), routeOf('greedy'))
    const result = await authenticate(bearer('a'), routeOf('a'))
    assert.equal(identityOf(result).credential.authenticator, 'a')
    assert.equal(careful.calls(), 1)
  })

  test('does not answer for another configuration of the same name', async () => {
    const files = { 'jwks.json': jwksOf(key) }
    const narrow = stageOf({ staff: { ...STAFF, audience: 'shop' } }, { files })
    assert.equal(outcomeOf(await stage.authenticate(bearer(staffToken), routeOf('staff'))), 'User alice')
    assert.equal(outcomeOf(await narrow.authenticate(bearer(staffToken), routeOf('staff'))), BAD)
  })

  test('is bounded, and forgets what was not used for longest', async () => {
    const door = counting('a', { untilMs: FOREVER })
    const authenticators = new Map([['a', door]])
    const authenticate = createAuthenticate({ authenticators, clock: testClock(), cacheEntries: 2 })
    const route = routeOf('a')
    for (const token of ['a1', 'a2', 'a1', 'a3']) await authenticate(bearer(token), route)
    assert.equal(door.calls(), 3)
    assert.equal(authenticate(bearer('a1'), route) instanceof Promise, false)
    await authenticate(bearer('a2'), route)
    assert.equal(door.calls(), 4)
  })

  test('does not keep what must be asked for each time, nor refusals', async () => {
    const door = counting('a', null)
    const authenticators = new Map([['a', door]])
    const authenticate = createAuthenticate({ authenticators, clock: testClock() })
    const route = routeOf('a')
    await authenticate(bearer('a'), route)
    await authenticate(bearer('a'), route)
    assert.equal(door.calls(), 2)
  })

  test('tells credentials apart that are equal but for one character', async () => {
    const door = counting('a', { untilMs: NOW_MS + 1000 })
    const authenticators = new Map([['a', door]])
    const authenticate = createAuthenticate({ authenticators, clock: testClock() })
    const route = routeOf('a')
    for (const token of ['a', 'A', 'aa', 'a.', 'ä']) await authenticate(bearer(`a${token}`), route)
    assert.equal(door.calls(), 5)
  })
})

test('a route that names an authenticator which does not exist is a bug', () => {
  assert.throws(() => stage.authenticate(requestOf(), routeOf('staf')), /staf, which does not exist/)
})
