import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { exportJWK, SignJWT } from 'jose'
import { claimsOf } from '../../../../src/gateway/authenticate/oidc/session.ts'
import { CLIENT_ID } from '../../../support/identity-provider.ts'
import { createVisitor, type Visitor } from '../../../support/visitor.ts'
import { ago, changeSession, openSession } from './sealed.ts'
import { newVisitor, type OidcWorld, sessionOf, startOidcWorld } from './world.ts'

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const untilNextSecond = async (): Promise<void> => {
  const began = Math.floor(Date.now() / 1000)
  while (Math.floor(Date.now() / 1000) === began) await new Promise((resolve) => setTimeout(resolve, 50))
}

const EVENT = 'http://schemas.openid.net/event/backchannel-logout'

describe('a logout', () => {
  let world: OidcWorld
  before(async () => {
    world = await startOidcWorld({
      authenticator: '    afterLogout: /goodbye',
      provider: {
        jwks: { keys: [{ ...(await exportJWK(privateKey)), kid: 'k1', alg: 'RS256', use: 'sig' }] },
      },
    })
  })
  after(() => world.close())

  const isIn = async (visitor: Visitor): Promise<boolean> =>
    (await visitor.ask(`${world.url}/who`)).status === 200

  /** Says yes where the provider asks whether one really wants to. */
  const confirm = async (visitor: Visitor, first: string, answer: Record<string, string>) => {
    const page = await visitor.follow(first)
    const [, action = ''] = /<form[^>]* action="([^"]+)"/.exec(page.body) ?? []
    const [, xsrf = ''] = /name="xsrf" value="([^"]+)"/.exec(page.body) ?? []
    return visitor.follow(new URL(action, page.url).href, { form: { xsrf, ...answer } })
  }

  test('leads by the provider to the page after it, and leaves the old cookie dead', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'alice')
    const thief = visitor.copy()
    assert.equal(await isIn(thief), true)
    const out = await visitor.ask(`${world.url}/.sallyport/logout`)
    assert.equal(out.status, 303)
    const location = new URL(out.location ?? '')
    assert.equal(location.origin, world.provider.issuer)
    assert.ok(location.searchParams.has('id_token_hint'))
    assert.deepEqual(sessionOf(visitor, world), [])
    assert.equal(await isIn(thief), false)
    const last = await confirm(visitor, location.href, { logout: 'yes' })
    assert.equal(last.url, `${world.url}/goodbye`)
    assert.equal(last.status, 200)
    const record = world.gateway.records().findLast(({ route }) => route === 'sallyport-logout')
    assert.deepEqual(record?.subject, { type: 'User', id: 'alice' })
  })

  test('does not keep anybody out who stays signed in at the provider and comes again', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'alice')
    await visitor.ask(`${world.url}/.sallyport/logout`)
    const again = await visitor.follow(`${world.url}/who`)
    assert.equal(again.body, 'alice sees /who')
  })

  test('by a form is that of a page of the same origin', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'alice')
    const post = (headers: Record<string, string>) =>
      visitor.ask(`${world.url}/.sallyport/logout`, { method: 'POST', form: {}, headers })
    assert.equal((await post({ 'Sec-Fetch-Site': 'cross-site', Origin: 'https://evil.example' })).status, 403)
    assert.equal(await isIn(visitor), true)
    assert.equal((await post({ 'Sec-Fetch-Site': 'same-origin', Origin: world.url })).status, 303)
    assert.equal(await isIn(visitor), false)
  })

  test('that is repeated with the same old cookie ends it once only, so that marks cannot be used up', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'alice')
    const thief = visitor.copy()
    const { id } = await openSession(world, visitor)
    const ended = () => world.gateway.records().filter((record) => Object(record.mark).target === id)
    await visitor.ask(`${world.url}/.sallyport/logout`)
    assert.equal(ended().length, 1)
    for (let count = 0; count < 3; count += 1)
      assert.equal((await thief.copy().ask(`${world.url}/.sallyport/logout`)).status, 303)
    assert.equal(ended().length, 1)
    assert.equal(await isIn(thief), false)
  })

  test('of nobody is one too', async () => {
    const out = await newVisitor().ask(`${world.url}/.sallyport/logout`)
    assert.equal(out.status, 303)
  })

  test('at the provider ends the session here', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'alice')
    const other = newVisitor()
    await world.signIn(other, 'alice')
    assert.equal(await isIn(visitor), true)
    // At its own address, without a word to this gateway but the provider's.
    await confirm(visitor, `${world.provider.issuer}/session/end`, { logout: 'yes' })
    assert.equal(await isIn(visitor), false)
    assert.equal(await isIn(other), true)
    const record = world.gateway.records().findLast(({ route }) => route === 'sallyport-backchannel-logout')
    assert.equal(record?.code, 'allowed')
  })

  describe('that is told from machine to machine', () => {
    let told = 0
    const tell = async (claims: Readonly<Record<string, unknown>>, header: object = {}, key = privateKey) => {
      told += 1
      const now = Math.floor(Date.now() / 1000)
      const token = await new SignJWT({
        ...{ iss: world.provider.issuer, aud: CLIENT_ID, iat: now, exp: now + 120, jti: `told-${told}` },
        ...{ events: { [EVENT]: {} } },
        ...claims,
      })
        .setProtectedHeader({ alg: 'RS256', kid: 'k1', typ: 'logout+jwt', ...header })
        .sign(key)
      return sendToken(token)
    }
    const sendToken = async (token: string) => {
      const url = `${world.url}/.sallyport/backchannel-logout`
      return (await createVisitor().ask(url, { form: { logout_token: token } })).status
    }

    test('ends all sessions of somebody when it names no login, and lets him sign in again', async () => {
      const visitor = newVisitor()
      await world.signIn(visitor, 'erin')
      assert.equal(await isIn(visitor), true)
      assert.equal(await tell({ sub: 'erin' }), 200)
      assert.equal(await isIn(visitor), false)
    })

    const now = Math.floor(Date.now() / 1000)
    const wrong: Readonly<Record<string, readonly [Readonly<Record<string, unknown>>, object?]>> = {
      'is for another client': [{ sub: 'frank', aud: 'other' }],
      'is from another provider': [{ sub: 'frank', iss: 'https://evil.example' }],
      'has expired': [{ sub: 'frank', exp: now - 60 }],
      'has no end': [{ sub: 'frank', exp: undefined }],
      'is old': [{ sub: 'frank', iat: now - 3600 }],
      'is from the future': [{ sub: 'frank', iat: now + 3600 }],
      'is an ID token': [{ sub: 'frank', events: undefined, nonce: 'x' }],
      'has a nonce': [{ sub: 'frank', nonce: 'x' }],
      'is about another event': [{ sub: 'frank', events: { 'http://example.com/event': {} } }],
      'has an event that is no object': [{ sub: 'frank', events: { [EVENT]: true } }],
      'has no id': [{ sub: 'frank', jti: undefined }],
      'names nobody': [{}],
      'names something': [{ sub: 'frank', sid: 7 }],
      'is of another type': [{ sub: 'frank' }, { typ: 'at+jwt' }],
    }
    for (const [name, [claims, header]] of Object.entries(wrong)) {
      test(`is not believed when it ${name}`, async () => assert.equal(await tell(claims, header), 400))
    }

    test('is not believed by another key, unsigned, or as something else', async () => {
      const other = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
      assert.equal(await tell({ sub: 'frank' }, {}, other), 400)
      const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
      const claims = {
        iss: world.provider.issuer,
        aud: CLIENT_ID,
        sub: 'frank',
        iat: now,
        exp: now + 60,
        jti: 'x',
      }
      assert.equal(
        await sendToken(`${part({ alg: 'none' })}.${part({ ...claims, events: { [EVENT]: {} } })}.`),
        400,
      )
      for (const text of ['', 'x', 'a.b.c', '{}']) assert.equal(await sendToken(text), 400)
    })

    test('leaves people alone while it is not believed', async () => {
      const visitor = newVisitor()
      await world.signIn(visitor, 'frank')
      assert.equal(await isIn(visitor), true)
    })

    test('is good once', async () => {
      const at = Math.floor(Date.now() / 1000)
      const token = await new SignJWT({
        ...{ iss: world.provider.issuer, aud: CLIENT_ID, iat: at, exp: at + 120, jti: 'once' },
        ...{ sid: 'a login', events: { [EVENT]: {} } },
      })
        .setProtectedHeader({ alg: 'RS256', kid: 'k1' })
        .sign(privateKey)
      assert.equal(await sendToken(token), 200)
      assert.equal(await sendToken(token), 400)
    })

    test('is no page to look at', async () => {
      assert.equal((await newVisitor().ask(`${world.url}/.sallyport/backchannel-logout`)).status, 404)
    })
  })

  const admin = async (method: string, path: string, body?: object) => {
    const answer = await fetch(`http://${world.gateway.admin}${path}`, {
      method,
      headers: { Authorization: 'Bearer a-token-for-the-admin-port', 'Content-Type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    return answer.text()
  }

  test('becomes a mark that every gateway knows', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'gina')
    const { id, idToken } = await openSession(world, visitor)
    await visitor.ask(`${world.url}/.sallyport/logout`)
    assert.ok((await admin('GET', '/v1/revocations')).includes(id))
    const other = newVisitor()
    await world.signIn(other, 'hans')
    const { sid } = claimsOf((await openSession(world, other)).idToken)
    assert.notEqual(sid, claimsOf(idToken).sid)
    await confirm(other, `${world.provider.issuer}/session/end`, { logout: 'yes' })
    assert.ok((await admin('GET', '/v1/revocations')).includes(String(sid)))
  })

  test('by the admin port makes people show once more who they are', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'ines')
    await admin('POST', '/v1/revocations', {
      ...{ subject: 'User::ines', effect: 'credentials', reason: 'a test' },
    })
    // The provider tells the time of a login in whole seconds.
    await untilNextSecond()
    assert.equal(await isIn(visitor), false)
    const sent = await visitor.ask(`${world.url}/who`)
    assert.equal(sent.status, 302)
    assert.match(sent.location ?? '', /prompt=login/)
    const page = await world.signIn(visitor, 'ines', '/who')
    assert.equal(page.body, 'ines sees /who')
    await admin('POST', '/v1/revocations', {
      ...{ subject: 'User::ines', effect: 'credentials', reason: 'a test' },
    })
    // One that was just begun so is not sent round in circles.
    assert.equal((await visitor.ask(`${world.url}/who`)).status, 401)
    await changeSession(world, visitor, (session) => ({ ...session, startedAt: ago(600) }))
    assert.equal((await visitor.ask(`${world.url}/who`)).status, 302)
  })
})
