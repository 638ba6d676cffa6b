import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { claimsOf } from '../../../../src/gateway/authenticate/oidc/session.ts'
import { ago, changeSession, openSession } from './sealed.ts'
import { newVisitor, type OidcWorld, startOidcWorld } from './world.ts'

const MFA = 'urn:example:mfa'
const ROUTES = `
defaults: { host: localhost, upstream: bank, engine: bank, authenticate: [browser] }
routes:
  - name: everything
    match: { methods: [GET, POST], path: '/{*rest}' }
    evaluation: { action: use, resource: { type: Page, id: $path.rest } }
    headers: { X-Remote-User: $subject.id }
  - name: recent
    match: GET /recent
    require: { maxAge: 5m }
    evaluation: { action: use, resource: { type: Page, id: recent } }
    headers: { X-Remote-User: $subject.id }
  - name: strong
    match: GET /strong
    require: { acr: ["${MFA}", other] }
    evaluation: { action: use, resource: { type: Page, id: strong } }
    headers: { X-Remote-User: $subject.id }
`

/** An ID token with other claims; its signature was checked before it was sealed. */
const withClaims = (idToken: string, claims: object): string => {
  const [header, , signature] = idToken.split('.')
  const payload = { ...claimsOf(idToken), ...claims }
  return [header, Buffer.from(JSON.stringify(payload)).toString('base64url'), signature].join('.')
}

describe('a page that requires a better login', () => {
  let world: OidcWorld
  before(async () => {
    world = await startOidcWorld({ routes: ROUTES, provider: { acrValues: [MFA] } })
  })
  after(() => world.close())

  const API = { 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Dest': 'empty' }

  test('sends to the provider whoever has signed in too long ago, and shows itself after that', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'alice')
    assert.equal((await visitor.ask(`${world.url}/recent`)).body, 'alice sees /recent')
    await changeSession(world, visitor, (session) => ({
      ...session,
      startedAt: ago(600),
      idToken: withClaims(session.idToken, { auth_time: ago(600) }),
    }))
    assert.equal((await visitor.ask(`${world.url}/a`)).status, 200)
    const sent = await visitor.ask(`${world.url}/recent`)
    assert.equal(sent.status, 302)
    assert.match(sent.location ?? '', /\/\.sallyport\/login\?.*max_age=300.*return=%2Frecent/)
    const asked = await visitor.ask(sent.location ?? '')
    assert.equal(new URL(asked.location ?? '').searchParams.get('max_age'), '300')
    // The login at the provider is young enough.
    assert.equal((await visitor.follow(`${world.url}/recent`)).body, 'alice sees /recent')
  })

  test('answers a call by its challenge, and sends it nowhere', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'alice')
    const answer = await visitor.ask(`${world.url}/strong`, { headers: API })
    assert.equal(answer.status, 401)
    assert.equal(answer.location, null)
    assert.match(
      String(answer.headers['www-authenticate']),
      /insufficient_user_authentication.*acr_values="urn:example:mfa other"/,
    )
  })

  test('asks once, and then says readably what is missing, where the provider does not do it', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'alice')
    const sent = await visitor.ask(`${world.url}/strong`)
    assert.equal(sent.status, 302)
    const asked = await visitor.ask(sent.location ?? '')
    assert.equal(new URL(asked.location ?? '').searchParams.get('acr_values'), `${MFA} other`)
    const page = await visitor.follow(`${world.url}/strong`)
    assert.equal(page.url, `${world.url}/strong`)
    assert.equal(page.status, 401)
    assert.match(page.body, /<h1>.*stronger or more recent authentication/s)
    // Everything else is as open as before.
    assert.equal((await visitor.ask(`${world.url}/a`)).status, 200)
    await changeSession(world, visitor, (session) => ({ ...session, startedAt: ago(60) }))
    assert.equal((await visitor.ask(`${world.url}/strong`)).status, 302)
  })

  test('asks for it at the first sign-in already', async () => {
    const sent = await newVisitor().ask(`${world.url}/strong`)
    assert.match(sent.location ?? '', /acr_values=urn%3Aexample%3Amfa\+other/)
  })

  test('opens to whoever has what it asks for', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'alice')
    const { idToken } = await openSession(world, visitor)
    assert.equal(claimsOf(idToken).acr, undefined)
    await changeSession(world, visitor, (session) => ({
      ...session,
      idToken: withClaims(session.idToken, { acr: MFA }),
    }))
    assert.equal((await visitor.ask(`${world.url}/strong`)).body, 'alice sees /strong')
  })

  test('is asked for nothing odd by an address that somebody else wrote', async () => {
    for (const query of ['acr_values=%22', 'acr_values=', 'max_age=-1', 'max_age=1e3', 'max_age=%0a1'])
      assert.equal((await newVisitor().ask(`${world.url}/.sallyport/login?${query}`)).status, 400, query)
  })
})

describe('a provider that does not tell the time of a login unless it is asked to', () => {
  let world: OidcWorld
  before(async () => {
    world = await startOidcWorld({ provider: { claims: { openid: ['sub', 'sid'] } } })
  })
  after(() => world.close())

  const revoke = (name: string): Promise<Response> =>
    fetch(`http://${world.gateway.admin}/v1/revocations`, {
      method: 'POST',
      headers: { Authorization: 'Bearer a-token-for-the-admin-port', 'Content-Type': 'application/json' },
      body: JSON.stringify({ subject: `User::${name}`, effect: 'credentials', reason: 'a test' }),
    })

  test('does not bring anybody back who was revoked, by a login from before that', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'alice')
    assert.equal(claimsOf((await openSession(world, visitor)).idToken).auth_time, undefined)
    assert.equal((await visitor.ask(`${world.url}/a`)).status, 200)
    assert.ok((await revoke('alice')).ok)
    const began = Math.floor(Date.now() / 1000)
    while (Math.floor(Date.now() / 1000) === began) await new Promise((resolve) => setTimeout(resolve, 50))
    // The login at the provider goes on: without being asked to show who he is, he gets a new session.
    const back = await visitor.follow(`${world.url}/.sallyport/login?return=/a`, {
      stop: (location) => location.includes('prompt=login'),
    })
    assert.equal(back.status, 302)
    assert.match(back.location ?? '', /prompt=login/)
    assert.ok(world.seen.filter(({ path }) => path === '/a').length === 1)
    const page = await world.signIn(visitor, 'alice', '/a')
    assert.equal(page.body, 'alice sees /a')
  })

  test('does not bring him back either when he leaves out what the gateway asks for', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'bob')
    assert.ok((await revoke('bob')).ok)
    const began = Math.floor(Date.now() / 1000)
    while (Math.floor(Date.now() / 1000) === began) await new Promise((resolve) => setTimeout(resolve, 50))
    const asked = await visitor.follow(`${world.url}/b`, { stop: (location) => location.includes('/auth?') })
    const stripped = new URL(asked.location ?? '')
    assert.equal(stripped.searchParams.get('prompt'), 'login')
    stripped.searchParams.delete('prompt')
    stripped.searchParams.delete('max_age')
    const page = await visitor.follow(stripped.href)
    assert.equal(page.url, `${world.url}/b`)
    assert.equal(page.status, 401)
    assert.ok(!world.seen.some(({ path }) => path === '/b'))
  })
})
