import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { withoutRedis } from '../support/redis-server.ts'
import { jwksOf, makeKey } from '../support/tokens.ts'
import { startWorld, until } from './shared-world.ts'

const ISSUER = 'https://transmitter.test'
const AUDIENCE = 'https://gateway.test/caep'
const EVENT = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked'

describe('gateways that share a Redis', { skip: withoutRedis, timeout: 60_000 }, () => {
  test('let an event token have its effect once among all of them', async (t) => {
    const key = await makeKey('set-1', 'RS256')
    const { replicas } = await startWorld(t, 2, {
      settings: { signals: `{ idp: { issuer: "${ISSUER}", audience: "${AUDIENCE}", jwksFile: idp.json } }` },
      files: { 'config/idp.json': JSON.stringify(jwksOf(key)) },
    })
    const [a, b] = replicas
    assert.ok(a !== undefined && b !== undefined)
    const nowSeconds = Math.floor(Date.now() / 1000)
    const claims = {
      ...{ iss: ISSUER, aud: AUDIENCE, jti: 'set-1', iat: nowSeconds },
      sub_id: { format: 'iss_sub', iss: ISSUER, sub: 'alice' },
      events: { [EVENT]: { event_timestamp: nowSeconds } },
    }
    const token = await key.sign(claims, { typ: 'secevent+jwt' })
    const push = async (port: number): Promise<number> => {
      const headers = { 'content-type': 'application/secevent+jwt' }
      const url = `http://127.0.0.1:${port}/.well-known/sallyport/signals`
      return (await fetch(url, { method: 'POST', headers, body: token })).status
    }
    const marks = async (): Promise<number> => {
      const { json } = await a.ask('/v1/revocations')
      return Array.isArray(json?.revocations) ? json.revocations.length : -1
    }
    assert.equal(await push(a.gateway.port), 202)
    await until(async () => (await marks()) === 1)
    assert.equal(await push(b.gateway.port), 202)
    assert.equal(await push(b.gateway.port), 202)
    assert.equal(await marks(), 1)
  })
})
