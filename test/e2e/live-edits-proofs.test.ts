import assert from 'node:assert/strict'
import { request } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { type HttpBackend, startHttpBackend } from '../support/backend.ts'
import { type DpopKey, makeDpopKey } from '../support/dpop.ts'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'
import { jwksOf, makeKey, type TestKey } from '../support/tokens.ts'
import { edited, READ, replace, routeMap, world } from './live-world.ts'

const LISTENERS = `
  - { bind: "127.0.0.1:0", trustedProxies: [{ cidrs: [127.0.0.2], posture: [X-Device-Compliant] }] }
  - { bind: "127.0.0.1:0", speaks: forward-auth, trustedProxies: [{ cidrs: [127.0.0.1] }] }`
const MAP = READ.replace('$path.id } }', '$path.id } }\n    grant: none')

const nowSeconds = (): number => Math.floor(Date.now() / 1000)

describe('a proof of a request that waits while the configuration changes', () => {
  let issuer: TestKey
  let holder: DpopKey
  let token: string
  let backend: HttpBackend
  let engine: HttpBackend
  let gateway: TestGateway
  let held: (() => void)[] = []
  let arrived: () => void = () => undefined
  let edits = 0

  before(async () => {
    issuer = await makeKey('staff')
    holder = await makeDpopKey()
    token = await issuer.sign({
      ...{ iss: 'https://idp.test', aud: 'app', sub: 'alice', iat: nowSeconds(), exp: nowSeconds() + 3600 },
      cnf: { jkt: holder.jkt },
    })
    backend = await startHttpBackend((_request, response) => response.end('seen'))
    // The first question is answered when the test says so.
    engine = await startHttpBackend((_request, response) => {
      const answer = (): void => {
        response.setHeader('Content-Type', 'application/json').end('{"result":true}')
      }
      if (held.length > 0) return answer()
      held.push(answer)
      arrived()
    })
    gateway = await startTestGateway({
      ...world(backend.url, {
        listeners: LISTENERS,
        authenticators:
          '{ staff: { type: jwt, issuer: "https://idp.test", audience: app, jwksFile: jwks.json } }',
        engines: `{ main: { type: opa, url: "${engine.url}", path: app/allow, timeout: 20s } }`,
      }),
      'config/routes/app.yaml': routeMap(MAP, '[staff]'),
      'config/jwks.json': JSON.stringify(jwksOf(issuer)),
    })
  })
  after(async () => {
    await gateway?.close()
    await engine?.close()
    await backend?.close()
  })

  const ask = (port: number, path: string, headers: Readonly<Record<string, string>>): Promise<number> =>
    new Promise((resolve, reject) => {
      const sent = request({
        host: '127.0.0.1',
        port,
        path,
        headers: { Host: 'app', ...headers },
        agent: false,
      })
      sent.on('response', (response) => {
        response.resume()
        response.on('end', () => resolve(response.statusCode ?? 0))
      })
      sent.on('error', reject)
      sent.end()
    })

  /** The status of a request under which the route map was edited. */
  const askUnderAnEdit = async (port: number, path: string, headers: Readonly<Record<string, string>>) => {
    held = []
    const waiting = new Promise<void>((resolve) => {
      arrived = resolve
    })
    const status = ask(port, path, headers)
    await Promise.race([waiting, status])
    edits += 1
    await edited(gateway, () =>
      replace(gateway, 'config/routes/app.yaml', routeMap(`${MAP}# edit ${edits}\n`, '[staff]')),
    )
    for (const answer of held) answer()
    return status
  }

  const proven = async () => ({
    Authorization: `DPoP ${token}`,
    DPoP: await holder.prove(nowSeconds(), { token, uri: 'http://app/things/one' }),
  })

  const question = {
    ...{ 'X-Forwarded-Method': 'GET', 'X-Forwarded-Proto': 'http', 'X-Forwarded-Host': 'app' },
    ...{ 'X-Forwarded-Uri': '/things/one', 'X-Forwarded-For': '192.0.2.1' },
  }

  const ways: Readonly<
    Record<string, { readonly door: number; readonly more: Readonly<Record<string, string>> }>
  > = {
    'as it came': { door: 0, more: {} },
    'with a header that its peer is not believed': { door: 0, more: { 'X-Device-Compliant': 'yes' } },
    'by a proxy that asks': { door: 1, more: question },
  }
  for (const [way, { door, more }] of Object.entries(ways)) {
    test(`is no second use when the request is decided again, ${way}, and one of another request is`, async () => {
      const port = Number((gateway.gateway.addresses[door] ?? '').split(':')[1])
      const headers = { ...(await proven()), ...more }
      assert.equal(await askUnderAnEdit(port, '/things/one', headers), 200)
      assert.equal(await ask(port, '/things/one', headers), 401)
    })
  }
})
