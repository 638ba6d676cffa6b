import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { ago, changeSession, openSession } from './sealed.ts'
import { newVisitor, type OidcWorld, sessionOf, startOidcWorld } from './world.ts'

const POLICY = `
permit (principal, action, resource);
forbid (principal, action, resource == Page::"vault") unless { principal.groups.contains("staff") };
`

describe('a session', () => {
  let world: OidcWorld
  const groups = new Map<string, readonly string[]>()
  before(async () => {
    world = await startOidcWorld({
      authenticator: [
        '    scopes: [openid, profile, offline_access]',
        '    session: { idle: 30m, lifetime: 8h, refreshBefore: 30s }',
        '    subject: { type: User, id: $claims.sub, properties: { groups: $claims.groups } }',
      ].join('\n'),
      policy: POLICY,
      provider: {
        findAccount: (_context, id) => ({
          accountId: id,
          claims: () => ({ sub: id, groups: groups.get(id) ?? ['customers'] }),
        }),
      },
    })
  })
  after(() => world.close())

  const tokenCalls = (): number => world.provider.calls().filter(({ path }) => path === '/token').length

  test('ends when it was idle for too long, and takes its cookie along', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'alice')
    await changeSession(world, visitor, (session) => ({ ...session, usedAt: ago(30 * 60) }))
    assert.equal((await visitor.ask(`${world.url}/a`)).status, 302)
    assert.deepEqual(sessionOf(visitor, world), [])
  })

  test('ends after its lifetime, however much it was used', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'alice')
    const startedAt = ago(8 * 60 * 60)
    await changeSession(world, visitor, (session) => ({ ...session, startedAt }))
    assert.equal((await visitor.ask(`${world.url}/a`)).status, 302)
    assert.deepEqual(sessionOf(visitor, world), [])
  })

  test('lives on while it is used, by a cookie that nobody may keep for others', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'alice')
    const usedAt = ago(20 * 60)
    await changeSession(world, visitor, (session) => ({ ...session, usedAt }))
    const answer = await visitor.ask(`${world.url}/a`)
    assert.equal(answer.status, 200)
    assert.equal(answer.setCookies.length, 1)
    assert.equal(answer.headers['cache-control'], 'no-store')
    assert.ok((await openSession(world, visitor)).usedAt > usedAt)
    assert.deepEqual((await visitor.ask(`${world.url}/a`)).setCookies, [])
  })

  test('is renewed on a refusal too', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'bob')
    await changeSession(world, visitor, (session) => ({ ...session, usedAt: ago(20 * 60) }))
    const answer = await visitor.ask(`${world.url}/vault`)
    assert.equal(answer.status, 403)
    assert.equal(answer.setCookies.length, 1)
  })

  test('has its tokens refreshed once, however many requests come at that moment', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'alice')
    const before = tokenCalls()
    await changeSession(world, visitor, (session) => ({ ...session, refreshAt: ago(1) }))
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, index) => visitor.copy().ask(`${world.url}/part/${index}`)),
    )
    assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([200]))
    // How long it lives is told in whole seconds, which may pass between two answers.
    assert.equal(new Set(answers.map(({ setCookies }) => setCookies[0]?.split(';', 1)[0])).size, 1)
    assert.equal(tokenCalls() - before, 1)
    // One that was late, and still has the session from before.
    assert.equal((await visitor.ask(`${world.url}/late`)).status, 200)
    assert.equal(tokenCalls() - before, 1)
    const session = await openSession(world, visitor)
    assert.ok((session.refreshAt ?? 0) > Date.now() / 1000)
  })

  test('goes by the claims of its last refresh, not by those of its sign-in', async () => {
    const visitor = newVisitor()
    groups.set('dora', ['staff'])
    await world.signIn(visitor, 'dora')
    assert.equal((await visitor.ask(`${world.url}/vault`)).status, 200)
    groups.set('dora', ['customers'])
    await changeSession(world, visitor, (session) => ({ ...session, refreshAt: ago(1) }))
    assert.equal((await visitor.ask(`${world.url}/vault`)).status, 403)
    assert.equal((await visitor.ask(`${world.url}/vault`)).status, 403)
  })

  test('ends when the provider does not refresh it', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'alice')
    await changeSession(world, visitor, (session) => ({
      ...session,
      refreshToken: 'one that was taken back',
      refreshAt: ago(1),
    }))
    assert.equal((await visitor.ask(`${world.url}/a`)).status, 302)
    assert.deepEqual(sessionOf(visitor, world), [])
  })

  test('goes on while the provider is down, until its tokens have expired', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'alice')
    const other = newVisitor()
    await world.signIn(other, 'bob')
    world.provider.misbehave((_request, response) => {
      response.destroy()
      return true
    })
    try {
      await changeSession(world, visitor, (session) => ({ ...session, refreshAt: ago(1) }))
      assert.equal((await visitor.ask(`${world.url}/a`)).status, 200)
      await changeSession(world, other, (session) => ({
        ...session,
        refreshAt: ago(20),
        expiresAt: ago(10),
      }))
      const answer = await other.ask(`${world.url}/a`)
      assert.equal(answer.status, 503)
      // The provider may be back soon, and the session be good.
      assert.equal(sessionOf(other, world).length, 1)
    } finally {
      world.provider.misbehave(null)
    }
  })
})

describe('the secrets of sessions', () => {
  const OLD = 'an old secret that has been in use for years'
  const NEW = 'a new secret that nobody has seen before this'

  test('are changed without signing anybody out', async () => {
    const world = await startOidcWorld({
      authenticator: '    secrets: [{ env: NEW }, { env: OLD }]',
      env: { NEW, OLD },
    })
    try {
      const visitor = newVisitor()
      await world.signIn(visitor, 'alice')
      const newSecret = Buffer.from(NEW)
      const session = await openSession(world, visitor, newSecret)
      const before = newVisitor()
      before.cookies(world.url).set('sallyport-browser', sessionOf(visitor, world).join(''))
      // As it was sealed before the change.
      await changeSession(world, before, (same) => same, newSecret)
      const { createSealer, sealingPurpose } = await import(
        '../../../../src/gateway/authenticate/oidc/sealing.ts'
      )
      const names = { name: 'browser', issuer: world.provider.issuer, clientId: 'gateway' }
      const old = createSealer([Buffer.from(OLD)], sealingPurpose('session', names))
      before.cookies(world.url).set('sallyport-browser', await old.seal({ ...session }))
      assert.equal((await before.ask(`${world.url}/a`)).body, 'alice sees /a')
      const strange = createSealer([Buffer.from('x'.repeat(40))], sealingPurpose('session', names))
      before.cookies(world.url).set('sallyport-browser', await strange.seal({ ...session }))
      assert.equal((await before.ask(`${world.url}/a`)).status, 302)
    } finally {
      await world.close()
    }
  })
})

describe('a session that is large', () => {
  let world: OidcWorld
  before(async () => {
    world = await startOidcWorld({
      authenticator: '    scopes: [openid, profile]',
      provider: {
        findAccount: (_context, id) => ({
          accountId: id,
          claims: () => ({ sub: id, groups: ['x'.repeat(Number(id.slice(1)))] }),
        }),
      },
    })
  })
  after(() => world.close())

  test('is spread over several cookies', async () => {
    const visitor = newVisitor()
    const page = await world.signIn(visitor, 'a5000')
    assert.equal(page.body, 'a5000 sees /accounts/1')
    assert.ok(sessionOf(visitor, world).length > 1)
    await visitor.ask(`${world.url}/b`)
    assert.ok(!world.seen.findLast(({ path }) => path === '/b')?.cookie?.includes('sallyport'))
  })

  test('is refused with a clear word when it does not fit into cookies', async () => {
    const visitor = newVisitor()
    const page = await world.signIn(visitor, 'a9000')
    assert.equal(page.status, 503)
    assert.match(page.body, /more of you than a browser can keep/)
    assert.deepEqual(sessionOf(visitor, world), [])
    assert.match(String(world.gateway.records().at(-1)?.detail), /does not fit into cookies/)
  })
})
