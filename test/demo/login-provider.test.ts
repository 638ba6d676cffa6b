import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import { calculatePKCECodeChallenge, randomPKCECodeVerifier } from 'openid-client'
import { systemClock } from '../../src/core/clock.ts'
import { LOGIN_CLIENT } from '../../src/demo/login-provider.ts'
import { startTokenMint, type TokenMint } from '../../src/demo/token-mint.ts'

const CALLBACK = 'http://localhost:8080/.sallyport/callback'
const VERIFIER = randomPKCECodeVerifier()

describe("the demo's provider", () => {
  let mint: TokenMint
  let question: URLSearchParams
  before(async () => {
    mint = await startTokenMint(systemClock)
    question = new URLSearchParams({
      client_id: LOGIN_CLIENT,
      response_type: 'code',
      redirect_uri: CALLBACK,
      code_challenge_method: 'S256',
      code_challenge: await calculatePKCECodeChallenge(VERIFIER),
      state: 'a state',
      nonce: 'a nonce',
    })
  })
  after(() => mint.close())

  const asked = (changes: Readonly<Record<string, string>>, form?: string): Promise<Response> => {
    const query = new URLSearchParams({ ...Object.fromEntries(question), ...changes })
    const how = form === undefined ? {} : { method: 'POST', body: new URLSearchParams(form) }
    return fetch(`${mint.url}/authorize?${query}`, { redirect: 'manual', ...how })
  }

  const codeFor = async (name: string): Promise<string> => {
    const location = (await asked({}, `login=${name}`)).headers.get('location') ?? ''
    return new URL(location).searchParams.get('code') ?? ''
  }

  const redeem = (code: string, changes: Readonly<Record<string, string>> = {}): Promise<Response> =>
    fetch(`${mint.url}/oauth/token`, {
      method: 'POST',
      body: new URLSearchParams({
        ...{ grant_type: 'authorization_code', client_id: LOGIN_CLIENT, redirect_uri: CALLBACK },
        ...{ code, code_verifier: VERIFIER, ...changes },
      }),
    })

  test('gives a code for whoever somebody says he is, and for the code an ID token, once', async () => {
    const way = await asked({}, 'login=alice')
    assert.equal(way.status, 303)
    const back = new URL(way.headers.get('location') ?? '')
    assert.equal(`${back.origin}${back.pathname}`, CALLBACK)
    assert.equal(back.searchParams.get('state'), 'a state')
    assert.equal(back.searchParams.get('iss'), mint.url)
    const code = back.searchParams.get('code') ?? ''
    const { id_token: idToken } = (await (await redeem(code)).json()) as { readonly id_token: string }
    // Any key set is one once it was read from where the metadata say.
    const keys = (await (await fetch(`${mint.url}/jwks`)).json()) as JSONWebKeySet
    const expected = { issuer: mint.url, audience: LOGIN_CLIENT }
    const { payload } = await jwtVerify(idToken, createLocalJWKSet(keys), expected)
    assert.equal(payload.sub, 'alice')
    assert.equal(payload.nonce, 'a nonce')
    assert.equal(typeof payload.auth_time, 'number')
    assert.equal((await redeem(code)).status, 400)
  })

  test('wants the verifier, the client and the address that the code was made for', async () => {
    const wrong = [
      { code_verifier: randomPKCECodeVerifier() },
      { client_id: 'other' },
      { redirect_uri: `${CALLBACK}2` },
    ]
    for (const changes of wrong) assert.equal((await redeem(await codeFor('bob'), changes)).status, 400)
  })

  test('asks who it is, and does not go on with somebody it does not know', async () => {
    assert.match(await (await asked({})).text(), /<button name="login" value="alice">/)
    assert.equal((await asked({}, 'login=mallory')).status, 200)
  })

  test('sends nobody away from this machine', async () => {
    const away = [
      'https://evil.example/.sallyport/callback',
      'http://localhost.evil.example/.sallyport/callback',
    ]
    for (const uri of [...away, 'http://user@localhost/.sallyport/callback', `${CALLBACK}/../x`, 'nonsense'])
      assert.equal((await asked({ redirect_uri: uri }, 'login=alice')).status, 400, uri)
    const out = await fetch(`${mint.url}/signed-out?post_logout_redirect_uri=https%3A%2F%2Fevil.example%2F`, {
      redirect: 'manual',
    })
    assert.equal(out.status, 200)
  })

  test('makes no code without a challenge', async () => {
    assert.equal((await asked({ code_challenge: '' }, 'login=alice')).status, 400)
    assert.equal((await asked({ code_challenge_method: 'plain' }, 'login=alice')).status, 400)
  })
})
