import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { crossOrigin } from '../../../src/gateway/authenticate/same-origin.ts'
import { jwksOf, makeKey } from '../../support/tokens.ts'
import { CLAIMS, outcomeOf, requestOf, routeOf, STAFF, stageOf } from './harness.ts'

const UPGRADE = ['Connection', 'Upgrade', 'Upgrade', 'websocket']

const refused = (
  headers: readonly string[],
  own: { scheme: 'http' | 'https'; authority: string } = { scheme: 'https', authority: 'bank.example' },
): boolean => crossOrigin({ ...requestOf(...headers), ...own }, false) !== null

describe('a WebSocket that a cookie signs in', () => {
  const own: Readonly<Record<string, readonly ['http' | 'https', string]>> = {
    'https://bank.example': ['https', 'bank.example'],
    'HTTPS://Bank.Example': ['https', 'bank.example'],
    'https://bank.example:8443': ['https', 'bank.example:8443'],
    'http://bank.example': ['http', 'bank.example:80'],
    'http://[::1]:8080': ['http', '[::1]:8080'],
  }
  for (const [origin, [scheme, authority]] of Object.entries(own)) {
    test(`may come from ${origin} to ${scheme}://${authority}`, () => {
      assert.equal(refused([...UPGRADE, 'Origin', origin], { scheme, authority }), false)
    })
  }

  const strange: Readonly<Record<string, readonly string[]>> = {
    'another host': ['Origin', 'https://evil.example'],
    'another scheme': ['Origin', 'http://bank.example'],
    'another port': ['Origin', 'https://bank.example:444'],
    'a host above': ['Origin', 'https://example'],
    'a host below': ['Origin', 'https://a.bank.example'],
    'a host that begins like it': ['Origin', 'https://bank.example.evil.example'],
    'a URL that is longer than an origin': ['Origin', 'https://bank.example/'],
    'a page without an origin': ['Origin', 'null'],
    'nowhere that it tells': [],
    'two origins, one of them right': ['Origin', 'https://bank.example', 'Origin', 'https://evil.example'],
  }
  for (const [name, origin] of Object.entries(strange)) {
    test(`may not come from ${name}`, () => assert.equal(refused([...UPGRADE, ...origin]), true))
  }

  for (const upgrade of [
    ['Upgrade', 'WebSocket'],
    ['Upgrade', 'h2c, websocket'],
    ['Upgrade', 'h2c', 'upgrade', 'WEBSOCKET'],
  ]) {
    test(`is known by ${upgrade.join(' ')}`, () => assert.equal(refused(upgrade), true))
  }

  test('is not any other request', () => {
    assert.equal(refused(['Origin', 'https://evil.example']), false)
    assert.equal(refused(['Upgrade', 'h2c', 'Origin', 'https://evil.example']), false)
  })
})

describe('a change by a session', () => {
  const own = { method: 'POST', scheme: 'https', authority: 'bank.example' } as const
  const outcome = (headers: readonly string[], method = 'POST', isSession = true): string =>
    crossOrigin({ ...requestOf(...headers), ...own, method }, isSession) === null ? 'passes' : 'is refused'

  for (const [name, headers] of [
    ['its own Origin', ['Origin', 'https://bank.example']],
    ['Sec-Fetch-Site: same-origin', ['Sec-Fetch-Site', 'same-origin']],
    ['both', ['Origin', 'https://bank.example', 'Sec-Fetch-Site', 'same-origin']],
    ['a page that keeps its own origin from being told', ['Origin', 'null', 'Sec-Fetch-Site', 'same-origin']],
  ] as const) {
    test(`passes with ${name}`, () => assert.equal(outcome(headers), 'passes'))
  }

  for (const [name, headers] of [
    ['neither', []],
    ['another Origin', ['Origin', 'https://evil.example']],
    ['a subdomain as its Origin', ['Origin', 'https://a.bank.example']],
    ['Origin: null alone', ['Origin', 'null']],
    ['Sec-Fetch-Site: cross-site', ['Sec-Fetch-Site', 'cross-site']],
    ['Sec-Fetch-Site: same-site', ['Sec-Fetch-Site', 'same-site']],
    ['Sec-Fetch-Site: none', ['Sec-Fetch-Site', 'none']],
    ['the two at odds', ['Origin', 'https://evil.example', 'Sec-Fetch-Site', 'same-origin']],
    ['the two at odds the other way', ['Origin', 'https://bank.example', 'Sec-Fetch-Site', 'cross-site']],
    ['Sec-Fetch-Site twice', ['Sec-Fetch-Site', 'same-origin', 'Sec-Fetch-Site', 'cross-site']],
    ['two Origins', ['Origin', 'https://bank.example', 'Origin', 'https://evil.example']],
  ] as const) {
    test(`is refused with ${name}`, () => assert.equal(outcome(headers), 'is refused'))
  }

  test('is asked of every method that may change something, and of no other', () => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND', 'get'])
      assert.equal(outcome([], method), 'is refused', method)
    for (const method of ['GET', 'HEAD', 'OPTIONS']) assert.equal(outcome([], method), 'passes', method)
  })

  test('is not asked of cookies that are not ours', () => assert.equal(outcome([], 'POST', false), 'passes'))
})

test('only a cookie asks where the page came from', async () => {
  const key = await makeKey('k1')
  const stage = stageOf(
    {
      staff: STAFF,
      browser: { ...STAFF, issuer: 'https://login.example.com', cookie: 'session', prefix: 'web|' },
    },
    { files: { 'jwks.json': jwksOf(key) } },
  )
  const route = routeOf('staff', 'browser')
  const token = await key.sign(CLAIMS)
  const session = await key.sign({ ...CLAIMS, iss: 'https://login.example.com' })
  const evil = [...UPGRADE, 'Origin', 'https://evil.example']
  const outcome = async (...headers: readonly string[]) =>
    outcomeOf(await stage.authenticate(requestOf(...headers), route))
  assert.equal(await outcome('Authorization', `Bearer ${token}`, ...evil), 'User alice')
  assert.equal(
    await outcome('Cookie', `session=${session}`, 'Origin', 'https://evil.example'),
    'User web|alice',
  )
  // Also when it is known from before.
  assert.match(await outcome('Cookie', `session=${session}`, ...evil), /^denied/)
  assert.equal(
    await outcome('Cookie', `session=${session}`, ...UPGRADE, 'Origin', 'http://example.com'),
    'User web|alice',
  )
  stage.close()
})
