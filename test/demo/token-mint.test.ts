import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { systemClock } from '../../src/core/clock.ts'
import { DEMO_AUDIENCE, startTokenMint, type TokenMint } from '../../src/demo/token-mint.ts'

describe('the token mint', () => {
  let mint: TokenMint
  before(async () => {
    mint = await startTokenMint(systemClock)
  })
  after(() => mint.close())

  const verify = async (token: string | null) => {
    assert.ok(token !== null)
    const expected = { issuer: mint.url, audience: DEMO_AUDIENCE, algorithms: ['ES256'] }
    return (await jwtVerify(token, createLocalJWKSet(mint.jwks), expected)).payload
  }

  test('mints tokens that its key set verifies', async () => {
    const { sub, groups, amr, iat = 0, exp = 0 } = await verify(await mint.mint('carol'))
    assert.deepEqual({ sub, groups, amr }, { sub: 'carol', groups: ['staff'], amr: ['pwd'] })
    assert.equal(exp - iat, 3600)
  })

  test('says in amr that there was a second factor when it is asked to', async () => {
    assert.deepEqual((await verify(await mint.mint('alice', { mfa: true }))).amr, ['pwd', 'mfa'])
  })

  test('hands tokens out over HTTP', async () => {
    const token = await (await fetch(`${mint.url}/token/bob?mfa`)).text()
    const { sub, amr } = await verify(token)
    assert.deepEqual({ sub, amr }, { sub: 'bob', amr: ['pwd', 'mfa'] })
  })

  test('knows nobody else', async () => {
    assert.equal(await mint.mint('mallory'), null)
    assert.equal((await fetch(`${mint.url}/token/mallory`)).status, 404)
    assert.equal((await fetch(`${mint.url}/token/constructor`)).status, 404)
  })

  test('shows the public half of its key only', () => {
    assert.deepEqual(
      mint.jwks.keys.map((key) => 'd' in key),
      [false],
    )
  })
})
