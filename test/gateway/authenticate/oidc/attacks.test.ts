import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Visitor } from '../../../support/visitor.ts'
import { beginSignIn, newVisitor, type OidcWorld, sessionOf, startOidcWorld } from './world.ts'

const COOKIE = 'sallyport-browser'

describe('an attacker', () => {
  let world: OidcWorld
  before(async () => {
    world = await startOidcWorld()
  })
  after(() => world.close())

  const who = async (visitor: Visitor): Promise<string> => {
    const answer = await visitor.ask(`${world.url}/who`)
    return answer.status === 200 ? answer.body : String(answer.status)
  }
  const noSession = (visitor: Visitor): void => assert.deepEqual(sessionOf(visitor, world), [])
  const loginCookie = (visitor: Visitor): string =>
    [...visitor.cookies(world.url).keys()].find((name) => name.includes('.login-')) ?? ''

  describe('who wants people to land elsewhere after a sign-in (open redirect)', () => {
    for (const target of [
      'https://evil.example/',
      '//evil.example/',
      '/\\evil.example/',
      '\\\\evil.example',
      '/\t/evil.example',
      '/\n//evil.example',
      '/%0d%0aLocation:%20https://evil.example',
      '/.//evil.example',
      '/..//evil.example',
      'evil.example',
      'javascript:alert(1)',
      'http:evil.example',
      '@evil.example',
      '',
      '/.sallyport/logout',
      '/x/../.sallyport/login',
    ]) {
      test(`cannot by ${JSON.stringify(target)}`, async () => {
        const visitor = newVisitor()
        const address = `${world.url}/.sallyport/login?return=${encodeURIComponent(target)}`
        const begun = await visitor.ask(address)
        if (begun.status === 400) return
        // What is a path after all leads to this host, as browsers read it.
        const login = await world.signIn(
          visitor,
          'alice',
          `/.sallyport/login?return=${encodeURIComponent(target)}`,
        )
        assert.equal(new URL(login.url).host, new URL(world.url).host)
        assert.ok(!JSON.stringify(login.headers).includes('evil'))
        assert.match(login.url.slice(world.url.length), /^\/%0d%0a/)
      })
    }

    test('cannot by a second target beside a good one', async () => {
      const answer = await newVisitor().ask(
        `${world.url}/.sallyport/login?return=/a&return=https://evil.example`,
      )
      assert.equal(answer.status, 400)
    })

    test('cannot by a Host of his own, since only the provider could send people there', async () => {
      const answer = await newVisitor().ask(`${world.url}/.sallyport/login`, {
        headers: { Host: 'evil.example' },
      })
      assert.equal(answer.status, 400)
    })
  })

  describe('who wants others to be signed in as himself (login CSRF)', () => {
    test('cannot by the address that his own sign-in ended with', async () => {
      const callback = await beginSignIn(newVisitor(), world, 'mallory')
      const victim = newVisitor()
      const answer = await victim.ask(callback)
      assert.equal(answer.status, 401)
      noSession(victim)
    })

    test('cannot by it either while a sign-in of the other one is under way', async () => {
      const callback = await beginSignIn(newVisitor(), world, 'mallory')
      const victim = newVisitor()
      await beginSignIn(victim, world, 'alice')
      assert.equal((await victim.ask(callback)).status, 401)
      noSession(victim)
    })

    test('cannot by his own code with the state of the other one', async () => {
      const own = new URL(await beginSignIn(newVisitor(), world, 'mallory'))
      const victim = newVisitor()
      const callback = new URL(await beginSignIn(victim, world, 'alice'))
      callback.searchParams.set('code', own.searchParams.get('code') ?? '')
      assert.equal((await victim.ask(callback.href)).status, 401)
      noSession(victim)
    })

    test('cannot by a second code beside the right one', async () => {
      const own = new URL(await beginSignIn(newVisitor(), world, 'mallory'))
      for (const first of [true, false]) {
        const victim = newVisitor()
        const callback = await beginSignIn(victim, world, 'alice')
        const code = `code=${own.searchParams.get('code')}`
        const both = first ? callback.replace('?', `?${code}&`) : `${callback}&${code}`
        assert.equal((await victim.ask(both)).status, 401)
        noSession(victim)
      }
    })
  })

  test('cannot use an answer of the provider a second time (replayed state and code)', async () => {
    const visitor = newVisitor()
    const callback = await beginSignIn(visitor, world, 'alice')
    const before = visitor.copy()
    assert.equal((await visitor.ask(callback)).status, 303)
    assert.equal(sessionOf(visitor, world).length, 1)
    // With the cookies of that moment, as somebody could have who reads disks; and without.
    assert.equal((await before.ask(callback)).status, 401)
    noSession(before)
    assert.equal((await newVisitor().ask(callback)).status, 401)
  })

  test('cannot use a code of one sign-in in another one of the same person (PKCE and nonce)', async () => {
    const one = newVisitor()
    const stolen = new URL(await beginSignIn(one, world, 'alice')).searchParams.get('code') ?? ''
    const other = newVisitor()
    const callback = new URL(await beginSignIn(other, world, 'alice'))
    callback.searchParams.set('code', stolen)
    assert.equal((await other.ask(callback.href)).status, 401)
    noSession(other)
  })

  test('cannot take the state of one sign-in for another', async () => {
    const visitor = newVisitor()
    const callback = new URL(await beginSignIn(visitor, world, 'alice'))
    const state = callback.searchParams.get('state') ?? ''
    for (const wrong of ['', 'browser.', state.slice(0, -1), `${state}x`, state.toUpperCase(), 'other.x.y']) {
      callback.searchParams.set('state', wrong)
      assert.equal((await visitor.copy().ask(callback.href)).status, 401, wrong)
    }
    callback.searchParams.delete('state')
    assert.equal((await visitor.copy().ask(callback.href)).status, 401)
  })

  test('cannot make an answer of another provider count (mix-up)', async () => {
    const visitor = newVisitor()
    const callback = new URL(await beginSignIn(visitor, world, 'alice'))
    callback.searchParams.set('iss', 'https://evil.example')
    const answer = await visitor.ask(callback.href)
    assert.ok(answer.status === 401 || answer.status === 503, String(answer.status))
    noSession(visitor)
  })

  test('cannot fix the session of somebody who is about to sign in', async () => {
    const mallory = newVisitor()
    await world.signIn(mallory, 'mallory')
    const [planted = ''] = sessionOf(mallory, world)
    const victim = newVisitor()
    const callback = await beginSignIn(victim, world, 'alice')
    victim.cookies(world.url).set(COOKIE, planted)
    await victim.follow(callback)
    assert.notDeepEqual(sessionOf(victim, world), [planted])
    assert.equal(await who(victim), 'alice sees /who')
    // What was planted is over, so that nobody goes on by it.
    assert.notEqual(await who(mallory), 'alice sees /who')
    assert.equal(await who(mallory), '302')
  })

  describe('who has changed a cookie', () => {
    const changed: Readonly<Record<string, (value: string) => string>> = {
      'by one character of its content': (value) => swap(value, value.length - 60),
      'by one character of its tag': (value) => swap(value, value.length - 2),
      'by one character of its head': (value) => swap(value, 20),
      'by cutting it short': (value) => value.slice(0, -1),
      'by making it longer': (value) => `${value}A`,
      'to one that is not encrypted': (value) => `${value.split('.')[0]}...${value.split('.')[3]}.`,
      'to one that is encrypted with a key in it': () =>
        `${encoded({ alg: 'dir', enc: 'A256GCM', kid: 'x', jwk: { kty: 'oct', k: 'AAAA' } })}..AAAA.AAAA.AAAA`,
      'to a signed token': () => `${encoded({ alg: 'none' })}.${encoded({ sub: 'alice' })}.`,
      'to JSON': () => encoded({ id: 'x', sub: 'alice' }),
      'to nothing': () => '',
    }
    for (const [name, change] of Object.entries(changed)) {
      test(`is not taken for anybody: ${name}`, async () => {
        const visitor = newVisitor()
        await world.signIn(visitor, 'alice')
        const [value = ''] = sessionOf(visitor, world)
        visitor.cookies(world.url).set(COOKIE, change(value))
        const script = await visitor.copy().ask(`${world.url}/who`, {
          headers: { 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' },
        })
        assert.equal(script.status, 401)
        assert.equal(await who(visitor), '302')
        noSession(visitor)
      })
    }

    test('is not taken for anybody by the cookie of a sign-in', async () => {
      const visitor = newVisitor()
      await beginSignIn(visitor, world, 'alice')
      const jar = visitor.cookies(world.url)
      jar.set(COOKIE, jar.get(loginCookie(visitor)) ?? '')
      assert.equal(await who(visitor), '302')
    })

    test('does not get far with a cookie of a sign-in that was changed', async () => {
      const visitor = newVisitor()
      const callback = await beginSignIn(visitor, world, 'alice')
      const name = loginCookie(visitor)
      const jar = visitor.cookies(world.url)
      jar.set(name, swap(jar.get(name) ?? '', 200))
      assert.equal((await visitor.ask(callback)).status, 401)
      noSession(visitor)
    })
  })

  test('cannot use a session by plain http on a name that goes over a network', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'alice')
    const answer = await visitor.ask(`${world.url}/who`, { headers: { Host: 'bank.example' } })
    assert.notEqual(answer.status, 200)
  })

  test('cannot send a form from a page of his own (CSRF)', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'alice')
    const send = async (headers: Record<string, string>, method = 'POST') =>
      (await visitor.ask(`${world.url}/transfer`, { method, form: { to: 'mallory' }, headers })).status
    assert.equal(await send({ 'Sec-Fetch-Site': 'same-origin', Origin: world.url }), 200)
    assert.equal(await send({ 'Sec-Fetch-Site': 'cross-site', Origin: 'https://evil.example' }), 403)
    assert.equal(await send({ 'Sec-Fetch-Site': 'same-site', Origin: 'http://localhost:1' }), 403)
    assert.equal(await send({ 'Sec-Fetch-Site': 'cross-site', Origin: 'null' }, 'DELETE'), 403)
    assert.equal(world.seen.filter(({ path }) => path === '/transfer').length, 1)
  })

  test('cannot open a WebSocket from a page of his own', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'alice')
    const handshake = {
      ...{ Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13' },
      'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    }
    const open = async (origin: Record<string, string>) =>
      (await visitor.ask(`${world.url}/socket`, { headers: { ...handshake, ...origin } })).status
    assert.equal(await open({ Origin: 'https://evil.example' }), 403)
    assert.equal(await open({ Origin: 'null' }), 403)
    assert.equal(await open({}), 403)
    assert.equal(world.seen.filter(({ path }) => path === '/socket').length, 0)
  })

  test('cannot sign others out from a page of his own', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'alice')
    for (const headers of [{ 'Sec-Fetch-Site': 'cross-site' }, { 'Sec-Fetch-Site': 'same-site' }]) {
      const answer = await visitor.ask(`${world.url}/.sallyport/logout`, { headers })
      assert.equal(answer.status, 403)
    }
    assert.equal(await who(visitor), 'alice sees /who')
  })
})

const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')

const swap = (text: string, at: number): string =>
  `${text.slice(0, at)}${text[at] === 'A' ? 'B' : 'A'}${text.slice(at + 1)}`
