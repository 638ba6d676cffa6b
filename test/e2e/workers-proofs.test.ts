import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeDpopKey } from '../support/dpop.ts'
import { layOut } from '../support/gateway.ts'
import { rawRequest } from '../support/raw-http.ts'
import { jwksOf, makeKey } from '../support/tokens.ts'
import { startWorkers } from './workers-world.ts'

test('a DPoP proof is good once among the workers of a machine', { timeout: 60_000 }, async (t) => {
  const issuer = await makeKey('k1')
  const keys = layOut({ 'keys.json': JSON.stringify(jwksOf(issuer)) })
  t.after(() => rmSync(keys, { recursive: true, force: true }))
  const jwt = `type: jwt, issuer: "https://idp.test", audience: city, jwksFile: "${join(keys, 'keys.json')}"`
  const { gateway, records } = await startWorkers(t, 2, { authenticators: `{ keys: { ${jwt} } }` })
  const holder = await makeDpopKey()
  const nowSeconds = Math.floor(Date.now() / 1000)
  const times = { iat: nowSeconds, exp: nowSeconds + 600 }
  const claims = { iss: 'https://idp.test', aud: 'city', sub: 'alice', ...times, cnf: { jkt: holder.jkt } }
  const token = await issuer.sign(claims)
  const send = async (proof: string): Promise<number> => {
    const lines = ['GET /things/one HTTP/1.1', 'Host: app', `Authorization: DPoP ${token}`, `DPoP: ${proof}`]
    return (await rawRequest(gateway.port, `${lines.join('\r\n')}\r\n\r\n`)).status
  }
  const prove = (): Promise<string> => holder.prove(nowSeconds, { token, uri: 'http://app/things/one' })
  const proof = await prove()
  const statuses: number[] = []
  do statuses.push(await send(proof))
  while (records().some((each) => each.length === 0))
  assert.deepEqual([statuses[0], ...new Set(statuses.slice(1))], [200, 401])
  assert.equal(await send(await prove()), 200)
})
