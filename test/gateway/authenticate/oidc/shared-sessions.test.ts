import assert from 'node:assert/strict'
import { generateKeyPairSync, hash, randomBytes, randomUUID } from 'node:crypto'
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { exportJWK, SignJWT } from 'jose'
import {
  createSealer,
  deriveSecret,
  sealingPurpose,
} from '../../../../src/gateway/authenticate/oidc/sealing.ts'
import { parseSession, type Session, sessionJson } from '../../../../src/gateway/authenticate/oidc/session.ts'
import { keyOfHandle } from '../../../../src/gateway/authenticate/oidc/shared-store.ts'
import { GATEWAY, loadWorld, SOUND } from '../../../config/world.ts'
import { startInDirectory, type TestGateway } from '../../../support/gateway.ts'
import { CLIENT_ID, CLIENT_SECRET } from '../../../support/identity-provider.ts'
import { rawRequest } from '../../../support/raw-http.ts'
import { type RedisServer, startRedis, withoutRedis } from '../../../support/redis-server.ts'
import type { Visitor } from '../../../support/visitor.ts'
import { ago } from './sealed.ts'
import { beginSignIn, newVisitor, type OidcWorld, sessionOf, startOidcWorld } from './world.ts'

const providerKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
const ENV = { OIDC_SECRET: CLIENT_SECRET, ADMIN_TOKEN: 'a-token-for-the-admin-port' }

describe('sessions in a Redis', { skip: withoutRedis, timeout: 90_000 }, () => {
  let redis: RedisServer
  let world: OidcWorld
  let other: TestGateway
  /** Of both gateways. */
  let urls: readonly [string, string]
  before(async () => {
    redis = await startRedis()
    const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })
    world = await startOidcWorld({
      settings: `grants: { store: "${redis.url}", redis: { commandTimeout: 2s } }\nassertion: { keyFile: assertion.jwk }`,
      files: { 'config/assertion.jwk': JSON.stringify(key) },
      authenticator: [
        '    scopes: [openid, profile, offline_access]',
        '    session: { store: redis, idle: 30m, lifetime: 8h, refreshBefore: 30s }',
      ].join('\n'),
      // A second use of a refresh token ends it all.
      provider: {
        rotateRefreshToken: true,
        jwks: { keys: [{ ...(await exportJWK(providerKey)), kid: 'k1', alg: 'RS256', use: 'sig' }] },
      },
    })
    const directory = mkdtempSync(join(tmpdir(), 'sallyport-'))
    cpSync(world.gateway.directory, directory, { recursive: true })
    rmSync(join(directory, 'log'), { recursive: true })
    mkdirSync(join(directory, 'log'))
    other = await startInDirectory(directory, { env: ENV })
    urls = [world.url, `http://localhost:${other.port}`]
  })
  after(async () => {
    redis?.thaw()
    await other?.close()
    await world?.close()
    await redis?.close()
  })

  const purpose = (): string =>
    sealingPurpose('session', { name: 'browser', issuer: world.provider.issuer, clientId: CLIENT_ID })
  const sealer = () => {
    const secret = deriveSecret(CLIENT_SECRET, CLIENT_ID)
    assert.ok(secret !== null)
    return createSealer([secret], purpose())
  }
  const redisKey = (handle: string): string => `sallyport:1:v:session:${keyOfHandle(purpose(), handle)}`
  const handleOf = (visitor: Visitor): string => sessionOf(visitor, world).join('')

  const read = async (handle: string): Promise<Session> => {
    const json = await sealer().open((await redis.admin.get(redisKey(handle))) ?? '')
    const session = json === null ? null : parseSession(json)
    assert.ok(session !== null)
    return session
  }

  /** Signs somebody in, and gives him a changed session that no gateway has seen before. */
  const signedInWith = async (name: string, change: (session: Session) => Session): Promise<Visitor> => {
    const visitor = newVisitor()
    await world.signIn(visitor, name)
    const session = change(await read(handleOf(visitor)))
    const handle = randomBytes(32).toString('base64url')
    const key = keyOfHandle(purpose(), handle)
    await redis.admin.set(
      redisKey(handle),
      await sealer().seal({ ...sessionJson(session), key }),
      'PX',
      600_000,
    )
    visitor.cookies(world.url).set('sallyport-browser', handle)
    return visitor
  }

  const tokenCalls = (): number => world.provider.calls().filter(({ path }) => path === '/token').length

  const askAll = (visitor: Visitor, each: number): Promise<readonly number[]> =>
    Promise.all(
      urls.flatMap((url) =>
        Array.from(
          { length: each },
          async (_, index) => (await visitor.copy().ask(`${url}/part/${index}`)).status,
        ),
      ),
    )

  test('leave a handle in the browser, and nothing in the Redis that can be read or carried off', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'alice')
    const handle = handleOf(visitor)
    assert.match(handle, /^[A-Za-z0-9_-]{43}$/)
    const stored = (await redis.admin.get(redisKey(handle))) ?? ''
    const [, , iv = ''] = stored.split('.')
    assert.ok(stored.startsWith('ey') && iv !== '')
    const { refreshToken = 'none', idToken } = await read(handle)
    const keys = await redis.admin.keys('*')
    for (const secret of [handle, refreshToken, idToken, 'alice']) {
      assert.ok(!stored.includes(secret))
      assert.ok(!keys.some((key) => key.includes(secret)))
    }
    const leftMs = await redis.admin.pttl(redisKey(handle))
    assert.ok(leftMs > 0 && leftMs <= 30 * 60_000, `it is kept for ${leftMs} ms`)
    // Whoever can write there cannot put it under a handle of his own.
    const mine = randomBytes(32).toString('base64url')
    await redis.admin.set(redisKey(mine), stored)
    const thief = newVisitor()
    thief.cookies(world.url).set('sallyport-browser', mine)
    assert.equal((await thief.ask(`${world.url}/a`)).status, 302)
  })

  test('are known to every gateway, and over at every gateway after a logout', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'bob')
    const stolen = visitor.copy()
    const handle = handleOf(visitor)
    for (const url of urls) assert.equal((await visitor.ask(`${url}/a`)).body, 'bob sees /a')
    await visitor.ask(`${urls[1]}/.sallyport/logout`)
    assert.equal(await redis.admin.exists(redisKey(handle)), 0)
    assert.deepEqual(sessionOf(visitor, world), [])
    // One that has just been begun is not sent to sign in again.
    for (const url of urls) assert.ok([302, 401].includes((await stolen.copy().ask(`${url}/a`)).status))
  })

  /** The provider says so from machine to machine. */
  const tellOfLogout = async (claims: Readonly<Record<string, unknown>>): Promise<number> => {
    const now = Math.floor(Date.now() / 1000)
    const token = await new SignJWT({
      ...{ iss: world.provider.issuer, aud: CLIENT_ID, iat: now, exp: now + 120, jti: randomUUID() },
      ...{ events: { 'http://schemas.openid.net/event/backchannel-logout': {} } },
      ...claims,
    })
      .setProtectedHeader({ alg: 'RS256', kid: 'k1', typ: 'logout+jwt' })
      .sign(providerKey)
    const url = `${world.url}/.sallyport/backchannel-logout`
    return (await newVisitor().ask(url, { form: { logout_token: token } })).status
  }
  const isKept = async (visitor: Visitor): Promise<boolean> =>
    (await redis.admin.exists(redisKey(handleOf(visitor)))) === 1

  test('are gone from the Redis when the provider says that the login is over, and no others', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'carol')
    const elsewhere = newVisitor()
    await world.signIn(elsewhere, 'carol')
    const handle = handleOf(visitor)
    assert.equal(await isKept(visitor), true)
    const form = await visitor.follow(`${world.provider.issuer}/session/end`)
    const [, action = ''] = /<form[^>]* action="([^"]+)"/.exec(form.body) ?? []
    const [, xsrf = ''] = /name="xsrf" value="([^"]+)"/.exec(form.body) ?? []
    await visitor.follow(new URL(action, form.url).href, { form: { xsrf, logout: 'yes' } })
    assert.equal(await redis.admin.exists(redisKey(handle)), 0)
    assert.equal(await isKept(elsewhere), true)
    assert.equal((await elsewhere.ask(`${urls[1]}/a`)).status, 200)
  })

  test('are all gone from the Redis when the provider says that somebody is out', async () => {
    const visitors = [newVisitor(), newVisitor()]
    for (const visitor of visitors) await world.signIn(visitor, 'dora')
    const neighbour = newVisitor()
    await world.signIn(neighbour, 'emil')
    assert.equal(await tellOfLogout({ sub: 'dora' }), 200)
    for (const visitor of visitors) assert.equal(await isKept(visitor), false)
    assert.equal(await isKept(neighbour), true)
  })

  test('that began after a logout are none of those that it ends', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'fred')
    const later = await signedInWith('fred', (session) => ({
      ...session,
      startedAt: ago(-5),
      refreshAt: ago(20),
    }))
    // Renewed, so that the gateway itself has noted whose it is.
    assert.equal((await later.ask(`${world.url}/a`)).status, 200)
    assert.equal(await tellOfLogout({ sub: 'fred' }), 200)
    assert.equal(await isKept(visitor), false)
    assert.equal(await isKept(later), true)
  })

  test('are noted by whose they are under names that nobody can guess, and no longer than they live', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'gert')
    const notes = await redis.admin.keys('sallyport:1:m:sessions-of:*')
    assert.ok(notes.length >= 2)
    for (const note of notes) {
      const leftMs = await redis.admin.pttl(note)
      assert.ok(leftMs > 0 && leftMs <= 30 * 60_000, `it is kept for ${leftMs} ms`)
      for (const member of await redis.admin.zrange(note, '0', '-1'))
        assert.match(member, /^\d+ [A-Za-z0-9_-]{43}$/)
      const guess = hash('sha256', JSON.stringify(['sub', 'gert']), 'base64url')
      assert.ok(!note.includes('gert') && !note.includes(guess))
    }
  })

  test('are begun once by each sign-in, whichever gateway it comes back to', async () => {
    const visitor = newVisitor()
    const back = new URL(await beginSignIn(visitor, world, 'alice'))
    const copy = visitor.copy()
    assert.equal((await visitor.follow(back.href)).body, 'alice sees /a')
    const before = tokenCalls()
    // It says where the other one is; the sign-in is bound to the host that it was begun at.
    const replayed = await rawRequest(
      other.port,
      [
        `GET ${back.pathname}${back.search} HTTP/1.1`,
        `Host: ${back.host}`,
        `Cookie: ${[...copy.cookies(world.url)].map(([name, value]) => `${name}=${value}`).join('; ')}`,
        'Connection: close\r\n\r\n',
      ].join('\r\n'),
    )
    assert.equal(replayed.status, 401)
    assert.match(String(other.records().at(-1)?.detail), /over already/)
    assert.equal(tokenCalls(), before)
  })

  test('have their tokens refreshed by one gateway, while the others wait for it', async () => {
    const visitor = await signedInWith('alice', (session) => ({
      ...session,
      refreshAt: ago(20),
      expiresAt: ago(10),
    }))
    const before = tokenCalls()
    assert.deepEqual(new Set(await askAll(visitor, 5)), new Set([200]))
    assert.equal(tokenCalls() - before, 1)
    const session = await read(handleOf(visitor))
    assert.ok((session.refreshAt ?? 0) > Date.now() / 1000)
    assert.deepEqual(new Set(await askAll(visitor, 2)), new Set([200]))
    assert.equal(tokenCalls() - before, 1)
  })

  test('are gone on with while another gateway refreshes them and they are still good', async () => {
    const visitor = await signedInWith('alice', (session) => ({ ...session, refreshAt: ago(20) }))
    const before = tokenCalls()
    assert.deepEqual(new Set(await askAll(visitor, 5)), new Set([200]))
    assert.equal(tokenCalls() - before, 1)
  })

  test('are waited for no longer than whoever refreshes them may take, if he is gone', async () => {
    const visitor = await signedInWith('alice', (session) => ({
      ...session,
      refreshAt: ago(20),
      expiresAt: ago(10),
    }))
    const claim = redisKey(handleOf(visitor)).replace(':v:session:', ':c:renewal:')
    await redis.admin.set(claim, 'somebody who died', 'PX', 500)
    assert.equal((await visitor.ask(`${world.url}/a`)).status, 200)
    // Only what is one's own is given back, which nobody waits for.
    while ((await redis.admin.exists(claim)) > 0);
  })

  test('are not lost when they cannot be saved at once, and the request does not wait until they are', async () => {
    const visitor = await signedInWith('alice', (session) => ({ ...session, refreshAt: ago(20) }))
    const before = tokenCalls()
    world.provider.misbehave(({ url }) => {
      if (url === '/token') redis.freeze()
      return false
    })
    try {
      const beganMs = Date.now()
      assert.equal((await visitor.ask(`${world.url}/a`)).status, 503)
      assert.ok(Date.now() - beganMs < 20_000)
    } finally {
      world.provider.misbehave(null)
      redis.thaw()
    }
    while ((await visitor.ask(`${world.url}/a`)).status === 503);
    assert.deepEqual(new Set(await askAll(visitor, 2)), new Set([200]))
    assert.equal(tokenCalls() - before, 1)
  })

  test('end when they were idle for too long, and when the provider does not refresh them', async () => {
    const idle = await signedInWith('alice', (session) => ({ ...session, usedAt: ago(30 * 60) }))
    assert.equal((await idle.ask(`${world.url}/a`)).status, 302)
    const old = await signedInWith('alice', (session) => ({ ...session, startedAt: ago(8 * 3600) }))
    assert.equal((await old.ask(`${world.url}/a`)).status, 302)
    const refused = await signedInWith('alice', (session) => ({
      ...session,
      refreshToken: 'one that was taken back',
      refreshAt: ago(1),
    }))
    const key = redisKey(handleOf(refused))
    assert.equal((await refused.ask(`${world.url}/a`)).status, 302)
    assert.equal(await redis.admin.exists(key), 0)
  })

  test('are not brought back by a gateway that renews one which was ended meanwhile', async () => {
    const visitor = await signedInWith('alice', (session) => ({ ...session, refreshAt: ago(20) }))
    const key = redisKey(handleOf(visitor))
    world.provider.misbehave((_request, response) => {
      redis.admin.del(key).then(
        () => response.destroy(),
        () => response.destroy(),
      )
      return true
    })
    try {
      assert.equal((await visitor.ask(`${world.url}/a`)).status, 401)
      assert.equal(await redis.admin.exists(key), 0)
    } finally {
      world.provider.misbehave(null)
    }
    assert.equal((await visitor.ask(`${world.url}/a`)).status, 302)
  })

  test('are not told to be over while nobody can end them', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'bob')
    const stolen = visitor.copy()
    redis.freeze()
    try {
      assert.equal((await visitor.ask(`${world.url}/.sallyport/logout`)).status, 503)
      assert.equal(world.gateway.records().at(-1)?.code, 'authenticator_unavailable')
      // Whoever is still signed in can try again.
      assert.equal(sessionOf(visitor, world).length, 1)
    } finally {
      redis.thaw()
    }
    let status = 503
    while (status === 503) ({ status } = await visitor.ask(`${world.url}/.sallyport/logout`))
    assert.deepEqual(sessionOf(visitor, world), [])
    for (const url of urls) assert.ok([302, 401].includes((await stolen.copy().ask(`${url}/a`)).status))
  })

  test('can be ended once more when nobody could be told that they were', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'bob')
    const stolen = visitor.copy()
    // The other gateway knows it from now on without asking.
    assert.equal((await stolen.ask(`${urls[1]}/a`)).status, 200)
    const feed = 'sallyport:1:{feed}:marks'
    await redis.admin.rename(feed, 'kept')
    await redis.admin.set(feed, 'what no mark can be added to')
    assert.equal((await visitor.ask(`${world.url}/.sallyport/logout`)).status, 503)
    assert.equal(world.gateway.records().at(-1)?.code, 'revocation_unavailable')
    await redis.admin.rename('kept', feed)
    let status = 503
    while (status === 503) ({ status } = await visitor.ask(`${world.url}/.sallyport/logout`))
    assert.deepEqual(sessionOf(visitor, world), [])
    for (const url of urls) assert.ok([302, 401].includes((await stolen.copy().ask(`${url}/a`)).status), url)
  })

  test('are neither good nor bad while the Redis does not answer', async () => {
    const visitor = await signedInWith('alice', (session) => session)
    redis.freeze()
    try {
      assert.equal((await visitor.ask(`${world.url}/a`)).status, 503)
      assert.equal(world.gateway.records().at(-1)?.code, 'authenticator_unavailable')
      assert.equal(sessionOf(visitor, world).length, 1)
    } finally {
      redis.thaw()
    }
    let status = 503
    while (status === 503) ({ status } = await visitor.ask(`${world.url}/a`))
    assert.equal(status, 200)
  })
})

describe('sessions that are to be in a Redis', () => {
  const load = async (grants: string, secret = CLIENT_SECRET): Promise<readonly string[]> => {
    const browser =
      '{ type: oidc, issuer: https://idp.example.com, clientId: gw, clientSecret: { env: OIDC }, session: { store: redis } }'
    const gateway = String(SOUND[GATEWAY]).replace(
      'authenticators:\n',
      `${grants}authenticators:\n  browser: ${browser.replace('gw,', 'gw, subject: { type: Person },')}\n`,
    )
    const { findings } = await loadWorld({ ...SOUND, [GATEWAY]: gateway }, { BACKEND: 'x', OIDC: secret })
    return findings.filter(({ severity }) => severity === 'error').map(({ message }) => message)
  }

  test('need a Redis, and a key that outlives the process', async () => {
    const shared = 'grants: { store: "redis://127.0.0.1:6379/0", secret: { env: OIDC } }\n'
    assert.deepEqual(await load(shared), [])
    assert.match((await load('')).join('\n'), /found redis, expected cookie, or a Redis as grants\.store/)
    assert.match((await load(shared, 'short')).join('\n'), /shared need a key that is/)
  })
})
