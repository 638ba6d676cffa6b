import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { newVisitor, type OidcWorld, sessionOf, startOidcWorld } from './world.ts'

describe('a person with a browser', () => {
  let world: OidcWorld
  before(async () => {
    world = await startOidcWorld()
  })
  after(() => world.close())

  test('is sent to sign in, comes back to the page that was asked for, and stays signed in', async () => {
    const visitor = newVisitor()
    const first = await visitor.ask(`${world.url}/accounts/1?tab=2`)
    assert.equal(first.status, 302)
    assert.match(first.headers.location ?? '', /^\/\.sallyport\/login\?/)
    const page = await world.signIn(visitor, 'alice', '/accounts/1?tab=2')
    assert.equal(page.status, 200)
    assert.equal(page.body, 'alice sees /accounts/1?tab=2')
    assert.equal(page.url, `${world.url}/accounts/1?tab=2`)
    assert.equal(sessionOf(visitor, world).length, 1)
    const again = await visitor.ask(`${world.url}/other`)
    assert.equal(again.body, 'alice sees /other')
    assert.deepEqual(again.setCookies, [])
    // Its pages are kept as it says, where the gateway adds nothing.
    assert.equal(again.headers['cache-control'], 'public, max-age=60')
  })

  test('is known in the records, from the sign-in on', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'bob', '/accounts/2')
    const records = world.gateway.records()
    const callback = records.findLast(({ route }) => route === 'sallyport-callback')
    const page = records.findLast(({ route }) => route === 'everything')
    assert.deepEqual(callback?.subject, { type: 'User', id: 'bob' })
    assert.deepEqual(page?.subject, { type: 'User', id: 'bob' })
    const { credential } = page ?? {}
    const { id, session, ageSeconds, ...rest } = credential as Readonly<Record<string, unknown>>
    assert.equal(typeof id, 'string')
    assert.equal(typeof ageSeconds, 'number')
    assert.deepEqual(rest, { type: 'oidc', authenticator: 'browser', issuer: world.provider.issuer })
    assert.equal(records.find(({ code }) => code === 'unauthenticated')?.source, 'authenticate')
  })

  test('is not sent away where a script asks, which gets a 401 instead', async () => {
    const visitor = newVisitor()
    for (const headers of [
      { 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' },
      { 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'iframe' },
      { 'Sec-Fetch-Mode': 'no-cors', 'Sec-Fetch-Dest': 'image' },
    ]) {
      const answer = await visitor.ask(`${world.url}/api`, { headers })
      assert.equal(answer.status, 401)
      assert.equal(answer.location, null)
      assert.match(answer.headers['www-authenticate'] ?? '', /^Cookie /)
    }
    const form = await visitor.ask(`${world.url}/api`, { form: { a: '1' } })
    assert.equal(form.status, 401)
  })

  test('has a session that the application does not see', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'alice')
    visitor.cookies(world.url).set('mine', '1')
    await visitor.ask(`${world.url}/cookies`)
    const seen = world.seen.findLast(({ path }) => path === '/cookies')
    assert.match(seen?.cookie ?? '', /(^|; )mine=1(;|$)/)
    assert.ok(!seen?.cookie?.includes('sallyport'))
  })

  test('keeps nothing of the sign-in but the session', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'alice')
    const own = [...visitor.cookies(world.url).keys()].filter((name) => name.includes('sallyport'))
    assert.deepEqual(own, ['sallyport-browser'])
  })

  test('leaves no code, token or cookie in a record or in the log', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'alice')
    const [session = ''] = sessionOf(visitor, world)
    const written = JSON.stringify(world.gateway.records()) + world.logLines.join('\n')
    assert.ok(session.length > 100)
    assert.ok(!written.includes(session.slice(0, 40)))
    assert.ok(!/[?&]code=|eyJhbGciOiJSUzI1NiI/.test(written))
  })
})
